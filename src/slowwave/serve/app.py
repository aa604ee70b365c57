"""The routes: who asks and as whom, what is asked, who answers. The way of one turn is in `turn`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from slowwave import __version__
from slowwave.models.manifest import check_persona
from slowwave.night.waking import Waking
from slowwave.serve.answer import Answerer
from slowwave.serve.auth import Caller, Gate, Keys
from slowwave.serve.faults import Refused, answer_errors
from slowwave.serve.recorder import Recorder
from slowwave.serve.schema import parse
from slowwave.serve.turn import events, printable, read_body, recording, while_connected
from slowwave.serve.wire import Json

PERSONA_HEADER = "x-slowwave-persona"
ADAPTER_HEADER = "x-slowwave-adapter"


class Personas(Protocol):
    """Where personas are known: the registry (folders) and the store."""

    def personas(self) -> list[str]:
        """Their names."""


def create_app(
    answerer: Answerer, recorder: Recorder, keys: Keys, personas: tuple[Personas, ...], default: str = "default",
    waking: Waking | None = None,
) -> FastAPI:  # fmt: skip
    """The application. Closes `answerer`, `recorder` and `waking` when it stops.

    Args:
        keys: none set means that only this machine may ask (see `auth`).
        personas: asked in order whether a persona exists.
        default: the persona of a request that names none.
        waking: what was learned since the last night, for the prompt of each turn; None leaves prompts as they come.
    """
    app = FastAPI(
        title="slowwave", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_life(answerer, recorder, waking)
    )
    app.state.stopping = stopping = asyncio.Event()  # set by `run` when answers have had their time to end
    app.add_middleware(Gate, keys=keys)
    answer_errors(app)
    known = {"default", default, *keys.personas}

    async def persona_of(request: Request) -> str:
        caller: Caller = request.state.caller
        name = request.headers.get(PERSONA_HEADER) or caller.persona or default
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
        chat = parse(await read_body(request))
        recorder.continued(persona, chat.text())
        record = recording(recorder, chat, persona, request.state.caller)
        if waking is not None:  # after the record is begun: what was said is recorded, not what we add
            chat = chat.reminded(await asyncio.to_thread(waking.recalled, persona, chat.text()))
        if chat.stream:
            stream = await while_connected(request, stopping, answerer.stream(chat, persona))
            headers = {ADAPTER_HEADER: printable(stream.version), "cache-control": "no-cache"}
            return StreamingResponse(events(stream, stopping, record), headers=headers, media_type="text/event-stream")
        whole = await while_connected(request, stopping, answerer.complete(chat, persona))
        choice = whole.body["choices"][0]
        record(choice["message"].get("content") or "", whole.version, choice.get("finish_reason"))
        return JSONResponse(whole.body, headers={ADAPTER_HEADER: printable(whole.version)})

    return app


def _life(
    answerer: Answerer, recorder: Recorder, waking: Waking | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await answerer.close()
        await asyncio.to_thread(recorder.close)
        if waking is not None:
            await asyncio.to_thread(waking.close)

    return life
