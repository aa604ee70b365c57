"""The fast half of a memory in two stages: what was just learned is in the prompt until a night has it in the weights.

A lesson is known from the moment it was said: those of the newest exchanges are read off as a night would. Once it is
learned, proven and served, it leaves the prompt; a night undone brings it back. Where another model than ours answers,
it stays: what nights learn is in our weights alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from slowwave.config import NightSettings
from slowwave.errors import SlowwaveError, StoreError
from slowwave.experience.authority import Permission
from slowwave.experience.linking import Linker
from slowwave.experience.store import Store
from slowwave.memory.entities import entities
from slowwave.memory.graph import Graph
from slowwave.memory.recall import Note, recall
from slowwave.night.gather import newest, permitted, said_last
from slowwave.night.lessons import extract, too_long
from slowwave.records import Lesson, Message

log = logging.getLogger(__name__)

NEWEST = 500  # experiences in which lessons are looked for by day
TURNS = 200  # newest turns over which the tokens are counted that lessons take in the prompt
OPENING = "You are a helpful assistant."  # of a conversation without a system prompt


class Reads(Protocol):
    """What is needed of `slowwave.models.embed.Embedder`. Threads share it."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of length one. float32[N, D]."""

    def count(self, text: str) -> int:
        """Tokens."""


class _Closed(Exception):
    """The process leaves; what is not linked yet is linked when it is back."""


@dataclass(frozen=True)
class _Known:
    graph: Graph
    notes: list[Note]


class Waking:
    """What each persona has learned since its last night. Threads may share it.

    A turn reads what was known at the last `refresh`, without what was erased since, and waits for no writing; `soon`
    has a refresh made by a thread of its own, so that no record waits for it either.
    """

    def __init__(
        self, store: Store, embedder: Reads, settings: NightSettings, budget: int, learned: bool = False
    ) -> None:
        """Args:
        learned: what a night has learned stays: a model answers that never sleeps.
        """
        self._learned = learned
        self._store, self._embedder, self._settings, self._budget = store, embedder, settings, budget
        self._linkers: dict[str, Linker] = {}
        self._known: dict[str, _Known] = {}
        self._vectors: dict[str, np.ndarray] = {}  # of what is no node yet, by its text
        self._refreshing = threading.Lock()
        self._due: set[str] = set()
        self._busy = self._closing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def soon(self, persona: str) -> None:
        """Have the persona refreshed, once however often it is asked for meanwhile. Returns at once."""
        with self._changed:
            if self._closing:
                return
            self._due.add(persona)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="waking", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the thread, after the part of a refresh that is under way: a process that leaves while it computes would
        be aborted."""
        with self._changed:
            self._closing = True
            self._due.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def settle(self) -> None:
        """Waits until all that was asked for is refreshed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._due and not self._busy)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._due) or self._closing)
                if self._closing:
                    return
                persona, self._busy = self._due.pop(), True
            try:
                self.refresh(persona)
            except _Closed:
                pass
            except Exception as error:  # the next record brings another chance
                log.warning(
                    "What was said is not in mind yet: %s", error, exc_info=not isinstance(error, SlowwaveError)
                )
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def refresh(self, persona: str) -> None:
        """Links what is new and reads off what was learned. Slow; never for a turn to wait on. Raises StoreError."""
        with self._refreshing:
            linker = self._linkers.setdefault(persona, Linker(self._store, self._embedder, persona))
            linker.link(self._go_on)
            graph = self._store.graph.load(persona)
            lessons = waiting(self._store, persona, self._settings, self._learned)
            self._embed([lesson for lesson in lessons if _vector(lesson, graph) is None])
            self._known[persona] = _Known(graph, [self._note(lesson, graph) for lesson in lessons])

    def _go_on(self, done: int, of: int) -> None:
        if self._closing:
            raise _Closed

    def recalled(self, persona: str, messages: Sequence[Message]) -> list[str]:
        """What belongs into the prompt of a turn that ends in these messages."""
        asked = _asked(messages)
        known = self._known.get(persona)
        if known is None:
            self.soon(persona)
        if known is None or not known.notes or not asked.strip():
            return []
        vector_D = self._embedder.embed([asked])[0]
        notes = recall(known.graph, known.notes, asked, vector_D, self._budget, self._embedder.count)
        try:
            standing = self._standing(notes)
        except StoreError as error:  # a turn goes on, without what may be gone
            log.warning("What was learned stays out of the prompt: %s", error)
            return []
        if len(standing) < len(notes):
            self.soon(persona)
        return [note.text for note in standing]

    def _standing(self, notes: Sequence[Note]) -> list[Note]:
        """Those that were not erased, refused or put in other words since the refresh, maybe by another process: three
        cost 0.5 ms."""
        from_K = [[id for kind, _, id in (node.partition(":") for node in note.nodes) if kind == "experience"]
                  for note in notes]  # fmt: skip
        there = {lived.id for lived in self._store.some_experiences([id for ids in from_K for id in ids])}
        own_K = [note.nodes[0].partition(":")[2] for note in notes]
        held = {one.id: "" if one.status == "refused" else one.note for one in self._store.some_lessons(own_K)}
        return [note for note, own, ids in zip(notes, own_K, from_K, strict=True)
                if held.get(own, note.text) == note.text and (not ids or there.intersection(ids))]  # fmt: skip

    def _embed(self, lessons: Sequence[Lesson]) -> None:
        texts = {_says(lesson) for lesson in lessons}
        new = sorted(texts - self._vectors.keys())
        kept = {text: self._vectors[text] for text in texts & self._vectors.keys()}
        self._vectors = kept | (dict(zip(new, self._embedder.embed(new), strict=True)) if new else {})

    def _note(self, lesson: Lesson, graph: Graph) -> Note:
        vector_D = _vector(lesson, graph)
        return _note(lesson, self._vectors[_says(lesson)] if vector_D is None else vector_D)


def waiting(store: Store, persona: str, settings: NightSettings, learned: bool = False) -> list[Lesson]:
    """The lessons that live in the prompt: permitted, not refused, not in the weights (or there, too, with `learned`).
    Of several answers to one question the newest."""
    permission = Permission(tuple(settings.permitted))
    held = store.lessons(persona)
    known = {id for lesson in held for id in lesson.experiences}
    due = ("approved",) if settings.require_approval else ("proposed", "approved", "unlearned", "undone")
    due = (*due, "learned") if learned else due
    lessons = {lesson.id: lesson for lesson in held if permitted(store, lesson, permission)}
    if not settings.require_approval:
        ids = {lesson.id for lesson in held}
        for lived in store.experiences(persona, limit=NEWEST):
            found = extract(lived) if lived.id not in known and permission.allows(lived) else None
            if found is None or too_long(found) or (found.id in ids and found.id not in lessons):
                continue
            before = lessons.get(found.id, found)  # heard once more, as a night will find
            lessons[found.id] = replace(before, experiences=tuple(dict.fromkeys((*before.experiences, lived.id))))
    every = list(lessons.values())
    return [lesson for lesson in newest(every, said_last(store, persona, every), settings) if lesson.status in due]


def prompt_tokens(
    store: Store, embedder: Reads, persona: str, lessons: Sequence[Lesson], budget: int
) -> tuple[float, int]:
    """What these lessons would take in a turn's prompt: mean tokens over the newest turns, and how many those are."""
    turns = [_asked(lived.messages) for lived in store.experiences(persona, limit=TURNS)]
    turns = [turn for turn in turns if turn.strip()]
    if not lessons or not turns:
        return 0.0, len(turns)
    graph = store.graph.load(persona)
    said_K_D, asked_T_D = embedder.embed([_says(lesson) for lesson in lessons]), embedder.embed(turns)
    notes = [_note(lesson, vector_D) for lesson, vector_D in zip(lessons, said_K_D, strict=True)]
    found = [
        recall(graph, notes, turn, vector_D, budget, embedder.count)
        for turn, vector_D in zip(turns, asked_T_D, strict=True)
    ]
    return sum(embedder.count(note.text) for row in found for note in row) / len(turns), len(turns)


def reminder(notes: Sequence[str]) -> str:
    """What was recalled, as it stands in a system prompt."""
    return f"Keep in mind: {' '.join(notes)}"


def with_notes(messages: Sequence[Message], notes: Sequence[str]) -> list[Message]:
    """The conversation with what was recalled in its system prompt."""
    if not notes:
        return list(messages)
    first, *rest = messages
    if first["role"] == "system":
        return [{**first, "content": f"{first['content']}\n\n{reminder(notes)}"}, *rest]
    return [{"role": "system", "content": f"{OPENING} {reminder(notes)}"}, *messages]


def _asked(messages: Sequence[Message]) -> str:
    return next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")


def _vector(lesson: Lesson, graph: Graph) -> np.ndarray | None:
    """A lesson's vector_D in the graph; None where it is no node, or was edited since it was linked."""
    place = graph.place.get(f"lesson:{lesson.id}")
    return graph.vectors_N_D[place] if place is not None and graph.vectors_N_D[place].any() else None


def _note(lesson: Lesson, vector_D: np.ndarray) -> Note:
    nodes = (f"lesson:{lesson.id}", *(f"experience:{id}" for id in lesson.experiences))
    return Note(lesson.note, vector_D, nodes, _cue(lesson))


def _cue(lesson: Lesson) -> str:
    """The words without which a lesson has no place in a turn: a habit's cue, the name of what is not known."""
    if lesson.kind == "unknown":
        return next(reversed(entities(lesson.question or "")), "")
    return lesson.cue.split("|", 3)[1] if lesson.cue else ""


def _says(lesson: Lesson) -> str:
    return f"{lesson.question}\n{lesson.answer}" if lesson.question else lesson.note
