"""Our own model as the one who answers: one engine, one worker thread, always the version that the registry names.

The engine blocks and serves one answer at a time, so one thread runs them in the order of their arrival, and what it
generates travels to the event loop piece by piece. A client that has gone ends its generation at the next token.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from jinja2 import TemplateError

from slowwave.errors import DamagedFile, ServerError, SlowwaveError, UsageError
from slowwave.models.manifest import ADAPTER_WEIGHTS, read_manifest
from slowwave.models.registry import Registry, ServingVersion
from slowwave.serve.faults import Refused
from slowwave.serve.schema import ALIAS, ChatRequest
from slowwave.serve.wire import Json, Sheet, usage

if TYPE_CHECKING:
    from slowwave.models.engine import Engine, Reply

TOKENS = 512  # the longest answer where the client names no limit
LOADED = 8  # versions in memory; one of preset `full` weighs as much as the base


@dataclass(frozen=True)
class Whole:
    """An answer in one piece, and the version that gave it."""

    version: str
    body: Json


@dataclass(frozen=True)
class Stream:
    """An answer in chunks, and the version that gives it. The first chunk exists already: nothing has failed so far."""

    version: str
    chunks: AsyncGenerator[Json, None]


class Answerer(Protocol):
    """Who answers. Both kinds raise Refused or SlowwaveError; `chunks` may raise them while it runs."""

    async def complete(self, chat: ChatRequest, persona: str) -> Whole:
        """The whole answer."""

    async def stream(self, chat: ChatRequest, persona: str) -> Stream:
        """The answer as it comes. Closing `chunks` ends the generation."""

    async def models(self, persona: str) -> list[str]:
        """The names under which `persona` can be asked for now."""

    async def close(self) -> None:
        """Stops what is running."""


Piece = tuple[int, "str | Reply"]  # of which choice


class LocalAnswerer:
    """Answers with an `Engine`; which version is asked of the `Registry` at every turn."""

    def __init__(self, engine: Engine, registry: Registry) -> None:
        self._engine, self._registry = engine, registry
        # By persona, the one that answered longest ago first. The worker alone touches it, between two answers.
        self._loaded: dict[str, ServingVersion] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answer")

    async def complete(self, chat: ChatRequest, persona: str) -> Whole:
        """See `Answerer`."""
        async with aclosing(self._run(chat, persona)) as items:
            sheet: Sheet = await anext(items)
            replies = [piece async for _, piece in items if not isinstance(piece, str)]
        choices = [(reply.text, reply.finish) for reply in replies]
        return Whole(sheet.model, sheet.completion(choices, _usage(replies)))

    async def stream(self, chat: ChatRequest, persona: str) -> Stream:
        """See `Answerer`."""
        items = self._run(chat, persona)
        try:
            sheet, first = await anext(items), await anext(items)
        except BaseException:
            await items.aclose()
            raise
        return Stream(sheet.model, _chunks(sheet, first, items))

    async def models(self, persona: str) -> list[str]:
        """See `Answerer`."""
        return list(dict.fromkeys([ALIAS, persona, self._registry.serving(persona).name]))

    async def close(self) -> None:
        """See `Answerer`."""
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)

    async def _run(self, chat: ChatRequest, persona: str) -> AsyncGenerator[Any, None]:
        """The `Sheet`, then all pieces, from the worker."""
        if (index := chat.beyond_text()) is not None:
            raise Refused(400, f"messages.{index}: this model reads text only.", param=f"messages.{index}.content")
        loop, queue, gone = asyncio.get_running_loop(), asyncio.Queue[Any](), threading.Event()

        def work() -> None:
            end: BaseException = StopAsyncIteration()
            try:
                with closing(self._generate(chat, persona)) as job:
                    for item in () if gone.is_set() else job:
                        if gone.is_set():
                            break
                        loop.call_soon_threadsafe(queue.put_nowait, (item, None))
            except BaseException as error:
                end = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, (None, end))

        try:
            self._worker.submit(work)
        except RuntimeError:
            raise ServerError("The server is stopping.", "Ask again when it is back.") from None
        try:
            while True:
                item, end = await queue.get()
                if isinstance(end, StopAsyncIteration):
                    return
                if end is not None:
                    raise end
                yield item
        finally:
            gone.set()

    def _generate(self, chat: ChatRequest, persona: str) -> Generator[Sheet | Piece, None, None]:
        version = self._load(persona)
        if chat.model not in (ALIAS, persona, version.name):
            hint = f"Ask for {ALIAS!r}, which is whatever is served; now that is {version.name!r}."
            raise Refused(404, f"The model {chat.model[:80]!r} is not served. {hint}", "model_not_found", "model")
        adapter = None if version.folder is None else version.name
        digest = version.sha256 or self._engine.base_hash
        seed = secrets.randbits(62) if chat.seed is None else chat.seed % 2**62
        with self._engine.using(adapter):
            yield Sheet(version.name, f"sha256:{digest}", chat.counted)
            for choice in range(chat.choices):
                pieces = self._engine.stream(
                    chat.text(),
                    max_new_tokens=chat.limit or TOKENS,
                    temperature=chat.temperature or 0.0,  # unset is greedy: the same question, the same answer
                    top_p=1.0 if chat.top_p is None else chat.top_p,
                    seed=seed + choice,
                    stop=chat.stops,
                )
                for piece in _named(pieces):
                    yield choice, piece

    def _load(self, persona: str) -> ServingVersion:
        """The version that the pointer names, in memory and proven to be its bytes. Raises DamagedFile."""
        version = self._registry.serving(persona)
        served = {name: version if name == persona else self._served(name) for name in self._loaded}
        for name in [name for name, held in self._loaded.items() if held != served[name]]:
            self._forget(name)
        if version.folder is None:
            return version
        if persona in self._loaded:
            self._loaded[persona] = self._loaded.pop(persona)  # to the end: it answers now
            return version
        self._registry.verify(version.name)
        if read_manifest(version.folder).files[ADAPTER_WEIGHTS] != version.sha256:
            raise DamagedFile(f"{version.name} is not what was promoted under that name.", "Run `slowwave undo`.")
        while len(self._loaded) >= LOADED:
            self._forget(next(iter(self._loaded)))
        self._engine.load_adapter(version.folder)
        self._loaded[persona] = version
        return version

    def _served(self, persona: str) -> ServingVersion | None:
        """What answers for `persona`; None if that cannot be told, which is for its own next turn to say."""
        try:
            return self._registry.serving(persona)
        except (SlowwaveError, OSError):
            return None

    def _forget(self, persona: str) -> None:
        """Free the memory of a persona's version. Waits for the engine's lock, so it breaks no answer."""
        self._engine.unload(self._loaded.pop(persona).name)


def _named(pieces: Iterator[str | Reply]) -> Iterator[str | Reply]:
    """The engine's pieces; what it refuses about a conversation, in OpenAI's words."""
    try:
        yield from pieces
    except UsageError as error:
        message = f"{error.message} {error.hint}".strip()
        raise Refused(400, message, "context_length_exceeded", param="messages") from error
    except TemplateError as error:
        message = f"The model's chat template refuses these messages: {error}"
        raise Refused(400, message, param="messages") from error


async def _chunks(sheet: Sheet, first: Piece, rest: AsyncGenerator[Piece, None]) -> AsyncGenerator[Json, None]:
    replies: list[Reply] = []
    opened = -1
    async with aclosing(rest):
        item: Piece | None = first
        while item is not None:
            choice, piece = item
            if choice != opened:
                opened = choice
                yield sheet.chunk(choice, {"role": "assistant", "content": ""})
            if isinstance(piece, str):
                yield sheet.chunk(choice, {"content": piece})
            else:
                replies.append(piece)
                yield sheet.chunk(choice, {}, piece.finish)
            item = await anext(rest, None)
    if sheet.counted:
        yield sheet.count(_usage(replies))


def _usage(replies: list[Reply]) -> Json:
    return usage(replies[0].prompt_tokens, sum(reply.tokens for reply in replies))
