"""What goes wrong with a request, and what the client hears of it: OpenAI's error object, never a traceback."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from slowwave.errors import (
    AdapterMismatch,
    DamagedFile,
    NotFound,
    ServerError,
    SlowwaveError,
    UpstreamError,
    UsageError,
)
from slowwave.plain import printable
from slowwave.serve.wire import Json

log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that gets an error answer. `code` is OpenAI's, where it has one."""

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None, kind: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.kind = kind or ("invalid_request_error" if status < 500 else "server_error")

    @property
    def body(self) -> Json:
        """OpenAI's error object."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def _named(error: SlowwaveError) -> Refused:
    """How an error that we can name is told to a client."""
    message = f"{error.message} {error.hint}".strip()
    if isinstance(error, UpstreamError):
        return Refused(502, message, "upstream_error", kind="upstream_error")
    if isinstance(error, UsageError):
        return Refused(400, message)
    if isinstance(error, NotFound):
        return Refused(404, message, "not_found")
    if isinstance(error, DamagedFile | AdapterMismatch):
        return Refused(503, message, "version_unusable")
    if isinstance(error, ServerError):
        return Refused(503, message, "server_stopping")
    return Refused(500, message)


def answer_errors(app: FastAPI) -> None:
    """Every error leaves in OpenAI's shape, and none shows a traceback to a client."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return JSONResponse(error.body, error.status)

    @app.exception_handler(SlowwaveError)
    async def named(_: Request, error: SlowwaveError) -> Response:
        answer = told(error)
        return JSONResponse(answer.body, answer.status)

    @app.exception_handler(HTTPException)
    async def routing(request: Request, error: HTTPException) -> Response:
        refused = Refused(error.status_code, f"{error.detail}: {request.method} {request.url.path}", "unknown_url")
        return JSONResponse(refused.body, refused.status, error.headers)

    @app.exception_handler(Exception)
    async def defect(_: Request, error: Exception) -> Response:
        return JSONResponse(_defect(error).body, 500)  # starlette raises it again, uvicorn logs it and hangs up


def told(error: Exception) -> Refused:
    """What the client hears of an error. The log hears more of those that are not the client's own doing."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, SlowwaveError):
        refused = _named(error)
        if refused.status >= 500:
            log.warning("%s", printable(refused.message, keep=""))  # an upstream's words may hold forged lines
        return refused
    log.error("An answer failed", exc_info=error)
    return _defect(error)


def _defect(error: Exception) -> Refused:
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return Refused(503, "There is not enough memory for this request. Shorten it, or try again.", "out_of_memory")
    return Refused(500, "The server failed at this request; its log says why.", "internal_error")
