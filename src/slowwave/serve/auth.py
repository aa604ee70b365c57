"""Who may ask, and as which persona. A gate in front of every route, known or not.

With keys set, each request must bear one. Without, only programs of this machine may ask: the server then listens on
loopback only, and the gate turns away web pages that reach it through a visitor's browser (DNS rebinding, CSRF).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from slowwave.errors import ServerError, UsageError
from slowwave.models.manifest import check_persona
from slowwave.serve.faults import Refused

KEYS_FILE = "keys.toml"


@dataclass(frozen=True)
class Caller:
    """Who asks. `persona` is set where the key belongs to one; None may choose."""

    persona: str | None = None


@dataclass(frozen=True)
class Keys:
    """sha256 digests of the keys: the owner's, and one for each persona that has its own."""

    owner: str | None = None
    personas: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.owner is not None or bool(self.personas)

    def caller(self, key: str) -> Caller | None:
        """Whose key it is; None if nobody's. Compares with all of them, in constant time."""
        digest = _digest(key)
        found: Caller | None = None
        for persona, known in [(None, self.owner), *self.personas.items()]:
            if known is not None and hmac.compare_digest(digest, known):
                found = found or Caller(persona)
        return found


def load_keys(home: Path, key: str | None) -> Keys:
    """The owner's `key` (empty is none) and those of `<home>/keys.toml`: lines `persona = "sha256 of its key"`.

    Raises:
        ServerError: the file cannot be read, or holds something else.
    """
    path = home / KEYS_FILE
    hint = 'Each line is: persona = "sha256 of its key in hexadecimal".'
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        table = {}
    except (OSError, ValueError) as error:
        raise ServerError(f"{path} cannot be read ({error}).", hint) from error
    for persona, digest in table.items():
        try:
            check_persona(persona)
        except UsageError as error:
            raise ServerError(f"{path}: {error.message}", error.hint) from error
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            raise ServerError(f"{path}: the value of {persona} is not a sha256.", hint)
    return Keys(_digest(key) if key else None, {persona: digest.lower() for persona, digest in table.items()})


def is_loopback(host: str) -> bool:
    """Whether a host's name or address can only be this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Gate:
    """ASGI middleware; puts the `Caller` into `request.state.caller` or answers with an error itself."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, or refuse."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # no route speaks anything else
            return
        try:
            caller = self._caller(Headers(scope=scope))
        except Refused as error:
            headers = {"www-authenticate": "Bearer"} if error.status == 401 else None
            await JSONResponse(error.body, error.status, headers)(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self.app(scope, receive, send)

    def _caller(self, headers: Headers) -> Caller:
        if not self.keys:
            _only_from_here(headers)
            return Caller()
        scheme, _, key = headers.get("authorization", "").partition(" ")
        caller = self.keys.caller(key.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise Refused(
                401, "This server needs a key: send the header `Authorization: Bearer KEY`.", "invalid_api_key"
            )
        return caller


def _only_from_here(headers: Headers) -> None:
    """A page of another site reaches loopback by rebinding its own name (wrong Host) or cross-origin (wrong Origin)."""
    if not is_loopback(_host(f"//{headers.get('host', '')}")):
        raise Refused(403, "Without a key this server answers to localhost only; set one with --key.", "forbidden_host")
    origin = headers.get("origin")
    if origin is not None and not is_loopback(_host(origin)):
        raise Refused(403, "Web pages of other sites may not use this server without a key.", "forbidden_origin")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
