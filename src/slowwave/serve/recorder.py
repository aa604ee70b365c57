"""Writes down what was lived, off the hot path: a bounded queue and one thread that owns the writing.

A turn never waits for the store. What cannot be queued or written is counted, and /health tells. A killed process
loses at most what was still queued; what is in the store is whole.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from slowwave.errors import NotFound, SlowwaveError
from slowwave.experience.authority import authority_of
from slowwave.experience.rows import now
from slowwave.records import Experience, Message, Outcome, least, new_id

log = logging.getLogger(__name__)

CAPACITY = 256  # records waiting; at 2 MiB a request this bounds the memory of a stuck store


class Memory(Protocol):
    """What the recorder needs of `slowwave.experience.store.Store`."""

    def add(self, experience: Experience) -> bool:
        """False if the id is there already."""

    def experience(self, id: str) -> Experience:
        """Raises NotFound."""

    def amend(self, id: str, *, outcome: Outcome, messages: Sequence[Message]) -> None:
        """What followed became known."""


@dataclasses.dataclass(frozen=True)
class _FollowUp:
    """What the user said after an exchange that may be in the store."""

    exchange: str
    persona: str
    messages: tuple[Message, ...]


class Recorder:
    """Takes exchanges and what followed them; `close` writes what is left."""

    def __init__(
        self, store: Memory, capacity: int = CAPACITY, remember: Callable[[str], None] = lambda persona: None
    ) -> None:
        """`remember` is told whose record was written. It must not take long: records wait meanwhile."""
        self._store, self._remember = store, remember
        self._waiting: queue.Queue[Experience | _FollowUp | None] = queue.Queue(capacity)
        self._closing = False
        self.written = self.failed = self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    def exchanged(
        self, persona: str, source: str, messages: Sequence[Message], answer: str, adapter: str | None
    ) -> None:
        """An answer was given. Returns at once."""
        whole = (*messages, {"role": "assistant", "content": answer})
        tools = any(message["role"] in ("tool", "function") for message in whole)
        authority = least(authority_of(source), "tool") if tools else authority_of(source)  # the least of its lineage
        self._put(
            Experience(
                id=exchange_id(persona, whole),
                persona=persona,
                source=source,
                time=now(),
                messages=whole,
                authority=authority,
                adapter=adapter,
            )
        )

    def continued(self, persona: str, messages: Sequence[Message]) -> None:
        """A request came in: if it goes on from an exchange that we recorded, its new turn is what followed.

        Only what we answered ourselves is looked for: assistant turns that a client made up stay what they are.
        """
        last = max((place for place, message in enumerate(messages) if message["role"] == "assistant"), default=None)
        if last is None or last + 1 == len(messages):
            return
        after = messages[last + 1 :]
        if any(message["role"] != "user" for message in after):
            return
        turn = {"role": "user", "content": "\n".join(message["content"] for message in after)}
        before = messages[: last + 1]
        self._put(_FollowUp(exchange_id(persona, before), persona, (*before, turn)))

    def status(self) -> dict[str, int]:
        """Counts for /health."""
        return {
            "waiting": self._waiting.unfinished_tasks,  # with the one being written
            "written": self.written,
            "failed": self.failed,
            "dropped": self.dropped,
        }

    def close(self, timeout: float = 10.0) -> None:
        """Writes what waits, for at most `timeout` seconds."""
        self._closing = True
        try:
            self._waiting.put(None, timeout=timeout)
        except queue.Full:
            log.warning("The store is stuck; %d records are lost.", self._waiting.qsize())
            return
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("The store is too slow; up to %d records are lost.", self._waiting.qsize())

    def _put(self, record: Experience | _FollowUp) -> None:
        try:
            if self._closing:
                raise queue.Full
            self._waiting.put_nowait(record)
        except queue.Full:
            self.dropped += 1
            log.warning("An exchange was not recorded: too many wait for the store.")

    def _work(self) -> None:
        while (record := self._waiting.get()) is not None:
            try:
                self.written += self._write(record)
            except Exception as error:  # whatever the store's trouble, the next record gets its chance
                self.failed += 1
                log.warning("An exchange was not recorded: %s", error, exc_info=not isinstance(error, SlowwaveError))
            else:
                self._remember(record.persona)
            self._waiting.task_done()
        self._waiting.task_done()

    def _write(self, record: Experience | _FollowUp) -> bool:
        """False if the store has it already, or if it is about no exchange of ours."""
        return self._store.add(record) if isinstance(record, Experience) else self._follow(record)

    def _follow(self, followed: _FollowUp) -> bool:
        """Adds the turn to its exchange."""
        try:
            known = self._store.experience(followed.exchange)
        except NotFound:
            return False
        if known.id != followed.exchange or known.messages == followed.messages:
            return False
        if len(known.messages) < len(followed.messages):
            self._store.amend(known.id, outcome=known.outcome, messages=followed.messages)
            return True
        # The same exchange went on differently before (another conversation, the same words): keep both.
        again = exchange_id(followed.persona, followed.messages)
        other = dataclasses.replace(known, id=again, messages=followed.messages, time=now(), outcome=Outcome())
        return self._store.add(dataclasses.replace(other, salience=None))


def exchange_id(persona: str, messages: Sequence[Message]) -> str:
    """The id of a conversation up to an answer. Clients trim what they send back, so white space at ends is no part."""
    return new_id(persona, [[message["role"], message["content"].strip()] for message in messages])
