"""One turn on its way through the server: read, answered while somebody listens, streamed, handed to the recorder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from slowwave.errors import ServerError
from slowwave.serve.answer import Stream
from slowwave.serve.auth import Caller
from slowwave.serve.faults import Refused, told
from slowwave.serve.recorder import Recorder
from slowwave.serve.schema import ChatRequest
from slowwave.serve.wire import DONE, event

BODY = 2 << 20  # bytes of a request
DRAIN = 64 << 20  # bytes that we read and throw away, so that a client that sends too much hears our answer
RECORDED = ("stop", "length")  # endings of an answer in words

T = TypeVar("T")
Record = Callable[[str, str, str | None], None]  # text, version, finish reason


async def read_body(request: Request) -> bytes:
    """The body. Raises Refused (413) beyond the bound."""
    kept, size = bytearray(), 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size <= BODY:
                kept += piece
            elif size > DRAIN:
                break
    except ClientDisconnect:
        raise _gone() from None
    if size > BODY:
        raise Refused(413, f"The request is larger than {BODY} bytes. Send less of the conversation.", "too_large")
    return bytes(kept)


async def while_connected(request: Request, stopping: asyncio.Event, answer: Coroutine[Any, Any, T]) -> T:
    """What `answer` gives; it is cancelled when the client goes away or the server must stop."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.ensure_future(answer)
    watches = [asyncio.ensure_future(event) for event in (gone(), stopping.wait())]
    try:
        await asyncio.wait((task, *watches), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if stopping.is_set():
            raise _stopping()
        raise _gone()
    except Exception as error:  # a defect too: left to starlette it would cost the client its connection
        raise told(error) from None
    finally:
        for left in (task, *watches):
            left.cancel()
        await asyncio.gather(task, *watches, return_exceptions=True)


def _gone() -> Refused:
    return Refused(499, "The client went away.")  # nobody reads it


def _stopping() -> ServerError:
    return ServerError("The server is stopping.", "Ask again when it is back.")


async def events(stream: Stream, stopping: asyncio.Event, record: Record) -> AsyncGenerator[bytes, None]:
    """Server-sent events. An error in the middle becomes an event, and what was said until then no record."""
    pieces: list[str] = []
    finish: str | None = None
    try:
        async with aclosing(stream.chunks) as chunks:
            async for chunk in chunks:
                for choice in chunk["choices"]:
                    if choice.get("index", 0) == 0:
                        pieces.append(choice["delta"].get("content") or "")
                        finish = choice.get("finish_reason") or finish
                yield event(chunk)
                if stopping.is_set():
                    raise _stopping()
    except Exception as error:
        finish = None
        yield event(told(error).body)
    finally:
        record("".join(pieces), stream.version, finish)  # also for a client that leaves after the last word
    yield DONE


def recording(recorder: Recorder, chat: ChatRequest, persona: str, caller: Caller) -> Record:
    """Records an answer in words. Of several choices we do not know which the user saw: none is."""
    # The owner may say for whom a request is; who holds a persona's key speaks for that persona alone.
    speaker = caller.persona or printable(chat.user or "")[:64] or "local"

    def record(text: str, version: str, finish: str | None) -> None:
        if chat.choices == 1 and finish in RECORDED and text.strip():
            recorder.exchanged(persona, f"user:{speaker}", chat.text(), text.strip(), version)

    return record


def printable(text: str) -> str:
    """Fit for a header: a client's or an upstream's model name may hold anything."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text)
