"""Starting and stopping: the port is taken before the model is loaded, and both Ctrl-C and SIGTERM end cleanly."""

from __future__ import annotations

import asyncio
import signal
import socket

import uvicorn
from fastapi import FastAPI

from slowwave.errors import ServerError
from slowwave.serve.auth import KEYS_FILE, Keys, is_loopback

GRACE = 5  # seconds that running answers get to end


def listen(host: str, port: int, keys: Keys) -> socket.socket:
    """A listening socket; who connects waits until `run`. Port 0 takes a free one.

    Raises:
        ServerError: the address cannot be had, or others could reach it and there is no key.
    """
    if not keys and not is_loopback(host):
        raise ServerError(
            f"Listening on {host} lets others in, and there is no key.",
            f"Set SLOWWAVE_KEY, or write {KEYS_FILE}, or listen on 127.0.0.1.",
        )
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
            taken.listen(128)
        except BaseException:
            taken.close()
            raise
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise ServerError(f"Cannot listen on {host} port {port}: {why}.", "Take another with --port.") from error
    return taken


def address_of(taken: socket.socket) -> str:
    """The base URL that an OpenAI client takes."""
    host, port = taken.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


class Server(uvicorn.Server):
    """uvicorn, which at the end asks running answers to break off before it breaks them off itself, with tracebacks."""

    def __init__(self, app: FastAPI) -> None:
        backstop = GRACE + 3
        super().__init__(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=backstop))
        self._stopping: asyncio.Event = app.state.stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn when it was told to stop."""
        asyncio.get_running_loop().call_later(GRACE, self._stopping.set)
        await super().shutdown(sockets)


def run(app: FastAPI, taken: socket.socket) -> None:
    """Serves until Ctrl-C or SIGTERM, then returns."""
    # uvicorn stops by itself at these signals and then raises them again for whoever handled them before: nobody.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        Server(app).run(sockets=[taken])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
