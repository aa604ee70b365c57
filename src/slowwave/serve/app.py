"""The routes, and the way of one turn: who asks, what is asked, who answers, what is written down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Protocol, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from slowwave import __version__
from slowwave.errors import ServerError, SlowwaveError
from slowwave.models.manifest import check_persona
from slowwave.serve.answer import Answerer, Stream
from slowwave.serve.auth import Caller, Gate, Keys
from slowwave.serve.recorder import Recorder
from slowwave.serve.schema import ChatRequest, parse
from slowwave.serve.wire import DONE, Json, Refused, event, refusal

log = logging.getLogger(__name__)

BODY = 2 << 20  # bytes of a request
DRAIN = 64 << 20  # bytes that we read and throw away, so that a client that sends too much hears our answer
PERSONA_HEADER = "x-slowwave-persona"
ADAPTER_HEADER = "x-slowwave-adapter"
RECORDED = ("stop", "length")  # endings of an answer in words

T = TypeVar("T")
Record = Callable[[str, str, str | None], None]  # text, version, finish reason


class Personas(Protocol):
    """Where personas are known: the registry (folders) and the store."""

    def personas(self) -> list[str]:
        """Their names."""


def create_app(answerer: Answerer, recorder: Recorder, keys: Keys, personas: tuple[Personas, ...]) -> FastAPI:
    """The application. Closes `answerer` and `recorder` when it stops.

    Args:
        keys: none set means that only this machine may ask (see `auth`).
        personas: asked in order whether a persona exists.
    """
    app = FastAPI(title="slowwave", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_life(answerer, recorder))
    app.state.stopping = stopping = asyncio.Event()  # set by `run` when answers have had their time to end
    app.add_middleware(Gate, keys=keys)
    _answer_errors(app)
    known = {"default", *keys.personas}

    async def persona_of(request: Request) -> str:
        caller: Caller = request.state.caller
        name = request.headers.get(PERSONA_HEADER) or caller.persona or "default"
        if caller.persona is not None and name != caller.persona:
            raise Refused(403, f"This key belongs to another persona than {name!r}.", "wrong_persona")
        if name not in known:
            check_persona(name)
        for place in personas:
            if name not in known:
                known.update(await asyncio.to_thread(place.personas))
        if name not in known:
            hint = "Import something for it, or give it a key in keys.toml."
            raise Refused(404, f"There is no persona {name!r}. {hint}", "persona_not_found", param=PERSONA_HEADER)
        return name

    @app.get("/health")
    async def health() -> Json:
        records = recorder.status()
        trouble = records["failed"] or records["dropped"]
        return {"status": "degraded" if trouble else "ok", "version": __version__, "records": records}

    @app.get("/v1/models")
    async def models(request: Request) -> Json:
        persona = await persona_of(request)
        names = await answerer.models(persona)
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "slowwave"} for name in names]
        return {"object": "list", "data": data}

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        persona = await persona_of(request)
        chat = parse(await _body(request))
        recorder.continued(persona, chat.text())
        record = _recording(recorder, chat, persona, request.state.caller)
        if chat.stream:
            stream = await _while_connected(request, stopping, answerer.stream(chat, persona))
            headers = {ADAPTER_HEADER: _printable(stream.version), "cache-control": "no-cache"}
            return StreamingResponse(_events(stream, stopping, record), headers=headers, media_type="text/event-stream")
        whole = await _while_connected(request, stopping, answerer.complete(chat, persona))
        choice = whole.body["choices"][0]
        record(choice["message"].get("content") or "", whole.version, choice.get("finish_reason"))
        return JSONResponse(whole.body, headers={ADAPTER_HEADER: _printable(whole.version)})

    return app


def _life(answerer: Answerer, recorder: Recorder) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await answerer.close()
        await asyncio.to_thread(recorder.close)

    return life


def _answer_errors(app: FastAPI) -> None:
    """Every error leaves in OpenAI's shape, and none shows a traceback to a client."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return JSONResponse(error.body, error.status)

    @app.exception_handler(SlowwaveError)
    async def named(_: Request, error: SlowwaveError) -> Response:
        told = _told(error)
        return JSONResponse(told.body, told.status)

    @app.exception_handler(HTTPException)
    async def routing(request: Request, error: HTTPException) -> Response:
        told = Refused(error.status_code, f"{error.detail}: {request.method} {request.url.path}", "unknown_url")
        return JSONResponse(told.body, told.status, error.headers)

    @app.exception_handler(Exception)
    async def defect(_: Request, error: Exception) -> Response:
        return JSONResponse(_defect(error).body, 500)  # starlette raises it again, uvicorn logs it and hangs up


def _told(error: Exception) -> Refused:
    """What the client hears of an error. The log hears more of those that are not the client's own doing."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, SlowwaveError):
        told = refusal(error)
        if told.status >= 500:
            log.warning("%s", told.message)
        return told
    log.error("An answer failed", exc_info=error)
    return _defect(error)


def _defect(error: Exception) -> Refused:
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return Refused(503, "There is not enough memory for this request. Shorten it, or try again.", "out_of_memory")
    return Refused(500, "The server failed at this request; its log says why.", "internal_error")


async def _body(request: Request) -> bytes:
    """The body. Raises Refused (413) beyond the bound."""
    kept, size = bytearray(), 0
    async for piece in request.stream():
        size += len(piece)
        if size <= BODY:
            kept += piece
        elif size > DRAIN:
            break
    if size > BODY:
        raise Refused(413, f"The request is larger than {BODY} bytes. Send less of the conversation.", "too_large")
    return bytes(kept)


async def _while_connected(request: Request, stopping: asyncio.Event, answer: Coroutine[Any, Any, T]) -> T:
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
        raise Refused(499, "The client went away.")  # nobody reads it
    except Exception as error:  # a defect too: left to starlette it would cost the client its connection
        raise _told(error) from None
    finally:
        for left in (task, *watches):
            left.cancel()
        await asyncio.gather(task, *watches, return_exceptions=True)


def _stopping() -> ServerError:
    return ServerError("The server is stopping.", "Ask again when it is back.")


async def _events(stream: Stream, stopping: asyncio.Event, record: Record) -> AsyncGenerator[bytes, None]:
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
        yield event(_told(error).body)
    finally:
        record("".join(pieces), stream.version, finish)  # also for a client that leaves after the last word
    yield DONE


def _recording(recorder: Recorder, chat: ChatRequest, persona: str, caller: Caller) -> Record:
    """Records an answer in words. Of several choices we do not know which the user saw: none is."""
    # The owner may say for whom a request is; who holds a persona's key speaks for that persona alone.
    speaker = caller.persona or _printable(chat.user or "")[:64] or "local"

    def record(text: str, version: str, finish: str | None) -> None:
        if chat.choices == 1 and finish in RECORDED and text.strip():
            recorder.exchanged(persona, f"user:{speaker}", chat.text(), text.strip(), version)

    return record


def _printable(text: str) -> str:
    """Fit for a header: a client's or an upstream's model name may hold anything."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text)
