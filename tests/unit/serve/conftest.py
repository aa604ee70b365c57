"""A real server on a free loopback port, with an engine that echoes: the model is not what is tested here."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from slowwave.errors import UsageError
from slowwave.experience.store import Store
from slowwave.models.registry import Registry
from slowwave.night.waking import Waking
from slowwave.serve.answer import Answerer, LocalAnswerer
from slowwave.serve.app import create_app
from slowwave.serve.auth import Keys
from slowwave.serve.recorder import Memory, Recorder
from slowwave.serve.run import Server, address_of, listen


@dataclass(frozen=True)
class EchoReply:
    text: str
    tokens: int
    prompt_tokens: int
    finish: str


class EchoEngine:
    """Answers "<version>: <last message>", a word a token; reads at most 1000 words."""

    base_hash = "b" * 64

    def __init__(self) -> None:
        self.active: str | None = None
        self.loaded: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.delay = 0.0
        self.ended = threading.Event()  # a generation was closed or came to its end
        self.spoken = 0

    def load_adapter(self, folder: Path) -> str:
        self.loaded.append(f"{folder.parent.parent.name}@{folder.name}")
        return self.loaded[-1]

    def unload(self, name: str) -> None:
        assert name != self.active, "it is answering"
        self.loaded.remove(name)

    @contextmanager
    def using(self, adapter: str | None) -> Iterator[None]:
        assert adapter is None or adapter in self.loaded
        self.active = adapter
        yield
        self.active = None

    def stream(
        self, chat: Sequence[dict[str, str]], *, max_new_tokens: int, stop: Sequence[str], **sampling: Any
    ) -> Iterator[str | EchoReply]:
        self.asked.append({"chat": list(chat), "max_new_tokens": max_new_tokens, "stop": stop, **sampling})
        prompt = sum(len(message["content"].split()) for message in chat)
        if prompt > 1000:
            raise UsageError(f"The conversation has {prompt} tokens; the model reads 1000.", "Shorten it.")
        words = f"{self.active or 'base'}: {chat[-1]['content']}".split()
        said: list[str] = []
        finish = "stop"
        try:
            for word in words:
                if len(said) == max_new_tokens:
                    finish = "length"
                    break
                if any(text in word for text in stop):
                    break
                time.sleep(self.delay)
                yield (" " if said else "") + word
                said.append(word)
                self.spoken += 1
        finally:
            self.ended.set()
        yield EchoReply(" ".join(said), len(said), prompt, finish)


@dataclass
class Served:
    """A running server and what it is made of."""

    url: str
    recorder: Recorder
    engine: EchoEngine = field(default_factory=EchoEngine)

    def client(self, key: str = "none", **headers: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url, api_key=key, max_retries=0, timeout=20, default_headers=headers)

    def http(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url.removesuffix("/v1"), headers=headers, timeout=20)

    def settle(self) -> None:
        """Waits until everything taken in is written or given up."""
        eventually(lambda: self.recorder.status()["waiting"] == 0)


def eventually(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as store:
        yield store


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


Serve = Callable[..., Served]


@contextmanager
def serving(home: Path) -> Iterator[Serve]:
    """Starts servers: `serve()` echoes, `serve(answerer)` answers with another; `keys=`, `memory=`, `waking=` too."""
    with contextlib.ExitStack() as stack:
        store, registry = stack.enter_context(Store(home)), Registry(home)

        def start(
            answerer: Answerer | None = None, keys: Keys | None = None, memory: Memory | None = None,
            waking: Waking | None = None,
        ) -> Served:  # fmt: skip
            engine, keys = EchoEngine(), keys or Keys()
            recorder = Recorder(memory or store, remember=waking.soon if waking else lambda persona: None)
            answerer = answerer or LocalAnswerer(engine, registry)  # type: ignore[arg-type]
            taken = stack.enter_context(listen("127.0.0.1", 0, keys))
            running = Server(create_app(answerer, recorder, keys, (registry, store), waking=waking))
            thread = threading.Thread(target=running.run, kwargs={"sockets": [taken]}, daemon=True)
            thread.start()
            eventually(lambda: running.started)

            def stop() -> None:
                running.should_exit = True
                thread.join(20)
                assert not thread.is_alive(), "the server does not stop"

            stack.callback(stop)
            return Served(address_of(taken), recorder, engine)

        yield start


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with serving(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the tests that leave nothing behind: stopping one takes a fifth of a second."""
    with serving(tmp_path_factory.mktemp("echo")) as start:
        yield start()


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Like `serve`, for a server that a module's tests share."""
    with serving(tmp_path_factory.mktemp("shared")) as start:
        yield start
