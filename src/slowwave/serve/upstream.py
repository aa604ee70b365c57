"""Another OpenAI-compatible endpoint as the one who answers. What it sends is checked before anyone believes it.

Requests go through as they came, but for the model's name; answers come back as they are. Garbage, silence and
truncation become an UpstreamError, never a crash and never a half answer that looks whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic_core import from_json

from slowwave.errors import UpstreamError, UsageError
from slowwave.serve.answer import Stream, Whole
from slowwave.serve.faults import Refused
from slowwave.serve.schema import ALIAS, ChatRequest
from slowwave.serve.wire import Json

TIMEOUT = httpx.Timeout(connect=5, read=120, write=30, pool=30)  # seconds; read is the longest silence
LINE = 1 << 20  # bytes of one event; a longer one is no chat chunk
BODY = 16 << 20  # bytes of one whole answer
THEIRS = frozenset({400, 404, 413, 422, 429})  # statuses that are the client's own doing and pass through


class UpstreamAnswerer:
    """Forwards to `url` (which ends in /v1 where OpenAI's would). `model` replaces what clients ask for."""

    def __init__(self, url: str, key: str | None = None, model: str | None = None) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise UsageError(f"{url!r} is not an upstream's address.", "Give it like http://127.0.0.1:8000/v1.")
        self.url, self.model = url.rstrip("/"), model
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.AsyncClient(timeout=TIMEOUT, headers=headers)

    async def complete(self, chat: ChatRequest, persona: str) -> Whole:
        """See `Answerer`."""
        async with self._asked("POST", "/chat/completions", self._body(chat)) as response:
            body = _object(await _whole(response))
        _check_choices(body, "message")
        if not body["choices"]:
            raise UpstreamError("The upstream gave an answer without choices.", "Look at the upstream's log.")
        return Whole(self._version(chat), body)

    async def stream(self, chat: ChatRequest, persona: str) -> Stream:
        """See `Answerer`."""
        async with AsyncExitStack() as stack:
            response = await stack.enter_async_context(self._asked("POST", "/chat/completions", self._body(chat)))
            events = _events(response)
            first = await anext(events)  # never without one: an empty answer raises
            chunks = _rest(stack.pop_all(), first, events)
        return Stream(self._version(chat), chunks)

    async def models(self, persona: str) -> list[str]:
        """See `Answerer`."""
        if self.model:
            return [ALIAS, self.model]
        async with self._asked("GET", "/models") as response:
            body = _object(await _whole(response))
        found = body.get("data")
        return [str(model["id"]) for model in found or [] if isinstance(model, dict) and "id" in model]

    async def close(self) -> None:
        """See `Answerer`."""
        await self._client.aclose()

    def _body(self, chat: ChatRequest) -> Json:
        body = chat.model_dump(exclude_unset=True, mode="json")
        return body | {"model": self.model or chat.model}

    def _version(self, chat: ChatRequest) -> str:
        return f"upstream:{self.model or chat.model}"

    @asynccontextmanager
    async def _asked(self, method: str, path: str, body: Json | None = None) -> AsyncIterator[httpx.Response]:
        """An open answer with a good status. Whatever goes wrong with the connection meanwhile is an UpstreamError."""
        try:
            async with self._client.stream(method, self.url + path, json=body) as response:
                if response.status_code != 200:
                    raise _refused(response, await _whole(response))
                yield response
        except httpx.TimeoutException as error:
            raise UpstreamError(f"The upstream {self.url} is silent.", "Try again, or look at its log.") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            why = str(error) or type(error).__name__
            raise UpstreamError(f"The upstream {self.url} cannot be used: {why}.", "Is it running?") from error


async def _rest(stack: AsyncExitStack, first: Json, events: AsyncGenerator[Json, None]) -> AsyncGenerator[Json, None]:
    async with stack, aclosing(events):
        yield first
        async for chunk in events:
            yield chunk


async def _events(response: httpx.Response) -> AsyncGenerator[Json, None]:
    """The chunks of a stream. Ends well only after [DONE] or after every choice has said why it ended."""
    open_choices: set[int] = set()
    begun = False
    async for line in _lines(response):
        if not line.startswith("data:"):
            if line and not line.startswith((":", "event:", "id:", "retry:")):
                raise UpstreamError("The upstream streams something else than events.", "Check --upstream's address.")
            continue
        data = line[len("data:") :].strip()
        if data == "[DONE]":
            break
        chunk = _object(data.encode())
        _check_choices(chunk, "delta")
        for choice in chunk["choices"]:
            begun = True
            (open_choices.discard if choice.get("finish_reason") else open_choices.add)(choice.get("index", 0))
        yield chunk
    if open_choices or not begun:
        raise UpstreamError("The upstream broke off in the middle of an answer.", "Ask again.")


async def _lines(response: httpx.Response) -> AsyncGenerator[str, None]:
    """Lines at \\n only: httpx's own also cut at U+2028, which JSON may hold as it is."""
    rest = b""
    try:
        async for data in response.aiter_bytes():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line.decode().rstrip("\r")
            if len(rest) > LINE:
                raise UpstreamError("The upstream streams a line without end.", "Check --upstream's address.")
        yield rest.decode().rstrip("\r")
    except UnicodeDecodeError as error:
        raise UpstreamError("The upstream streams bytes that are no text.", "Check --upstream's address.") from error


async def _whole(response: httpx.Response) -> bytes:
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > BODY:
            raise UpstreamError("The upstream's answer is too long.", "Check --upstream's address.")
    return bytes(data)


def _object(data: bytes) -> Json:
    try:
        body = from_json(data, allow_inf_nan=False)  # stricter than json: no NaN, no half of a surrogate pair
    except ValueError as error:
        raise UpstreamError("The upstream sent what is not JSON.", "Check --upstream's address.") from error
    if not isinstance(body, dict):
        raise UpstreamError("The upstream sent JSON that is no answer.", "Check --upstream's address.")
    if body.get("error"):
        raise UpstreamError(f"The upstream failed: {_said(body)}", "Look at the upstream's log.")
    return body


def _check_choices(body: Json, part: str) -> None:
    choices = body.get("choices")
    if not isinstance(choices, list) or not all(_is_choice(choice, part) for choice in choices):
        raise UpstreamError("The upstream sent JSON that is no chat answer.", "Check --upstream's address.")


def _is_choice(choice: Any, part: str) -> bool:
    if not isinstance(choice, dict) or not isinstance(choice.get(part), dict):
        return False
    known = isinstance(choice.get("index", 0), int) and isinstance(choice.get("finish_reason"), str | None)
    return known and isinstance(choice[part].get("content"), str | None)


def _refused(response: httpx.Response, data: bytes) -> Exception:
    """An error status: the client's own mistakes go to the client as they are, all others are the upstream's."""
    status = response.status_code
    try:
        said = _said(from_json(data))
    except ValueError:
        said = f"status {status}"
    if status in THEIRS:
        return Refused(status, f"The upstream refused: {said}", "upstream_refused")
    if status in (401, 403):
        return UpstreamError(f"The upstream refused our key: {said}", "Set SLOWWAVE_UPSTREAM_KEY or --upstream-key.")
    return UpstreamError(f"The upstream failed with status {status}: {said}", "Look at the upstream's log.")


def _said(body: Any) -> str:
    error = body.get("error", body) if isinstance(body, dict) else body
    message = error.get("message", error) if isinstance(error, dict) else error
    return str(message)[:500]
