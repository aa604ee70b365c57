"""A local file server with ranges that can break off, and wheels made on the spot."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Server:
    """Serves `files` (path: content type and bytes). `break_after` bytes of a body the connection is cut, once."""

    url: str = ""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    ranges: bool = True
    break_after: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range of every request


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            path = self.path.partition("?")[0]
            state.asked.append((path, wanted))
            kind, content = state.files.get(path, ("", b""))
            total, first, status = len(content), 0, 200 if path in state.files else 404
            if wanted and state.ranges:
                first = int(wanted.removeprefix("bytes=").partition("-")[0])
                status = 206 if first < total else 416
                content = content[first:]
            self.send_response(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
            if status == 416:
                self.send_header("Content-Range", f"bytes */{total}")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            if state.break_after is not None and len(content) > state.break_after:
                content, state.break_after = content[: state.break_after], None
                self.close_connection = True
            self.wfile.write(content)

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=service.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{service.server_port}"
    yield state
    service.shutdown()
    service.server_close()
    thread.join()


@pytest.fixture
def make_wheel() -> Callable[[dict[str, bytes]], bytes]:
    def build(members: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    return build


@pytest.fixture
def digest() -> Callable[[bytes], str]:
    return lambda content: hashlib.sha256(content).hexdigest()
