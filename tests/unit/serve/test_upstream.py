"""Another endpoint answers: what it does right passes through, what it does wrong harms nobody."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import openai
import pytest

from slowwave.errors import UsageError
from slowwave.serve import upstream
from slowwave.serve.upstream import UpstreamAnswerer

HELLO = [{"role": "user", "content": "hello"}]


def chunk(text, finish=None, **more):
    delta = {"content": text} if text else {}
    body = {"id": "u1", "object": "chat.completion.chunk", "created": 1, "model": "up-1"}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps(body | {"choices": [choice]} | more, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
GOOD = chunk("Hi") + chunk(" there") + chunk("", "stop") + DONE
WHOLE = {
    "id": "u1", "object": "chat.completion", "created": 1, "model": "up-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi there"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}  # fmt: skip


class FakeUpstream(ThreadingHTTPServer):
    """Sends `reply` (bytes) with `status`, then hangs up; remembers what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply, self.status, self.asked, self.pause, self.left = GOOD, 200, [], 0.0, threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, headers, json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()
        try:
            for line in self.server.reply.splitlines(keepends=True):
                self.wfile.write(line)
                self.wfile.flush()
                time.sleep(self.server.pause)
        except OSError:
            self.server.left.set()

    do_GET = lambda self: (self.send_response(200), self.end_headers(), self.wfile.write(self.server.reply))  # noqa: E731

    def log_message(self, *_):
        pass


@contextmanager
def faking() -> Iterator[FakeUpstream]:
    with FakeUpstream() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def fake() -> Iterator[FakeUpstream]:
    with faking() as server:
        yield server


@pytest.fixture(scope="module")
def forwarding(start_shared):
    """A server and its upstream, for the tests that record nothing."""
    with faking() as server:
        yield start_shared(UpstreamAnswerer(server.url)), server


def create(served, **options):
    return served.client().chat.completions.create(**{"model": "gpt-x", "messages": HELLO} | options)


def alive_with_nothing_recorded(served):
    served.settle()
    assert served.recorder.status() == {"waiting": 0, "written": 0, "failed": 0, "dropped": 0}
    with served.http() as http:
        assert http.get("/health").json()["status"] == "ok"


def test_a_stream_passes_through_and_is_recorded(serve, fake, store):
    served = serve(UpstreamAnswerer(fake.url, key="secret"))
    with create(served, stream=True, temperature=0.5, extra_body={"top_k": 7}) as stream:
        assert stream.response.headers["x-slowwave-adapter"] == "upstream:gpt-x"
        chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hi there"
    assert chunks[0].model == "up-1"
    path, headers, body = fake.asked[0]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer secret"
    assert body == {"model": "gpt-x", "messages": HELLO, "stream": True, "temperature": 0.5, "top_k": 7}
    served.settle()
    (experience,) = store.experiences()
    assert experience.messages[-1] == {"role": "assistant", "content": "Hi there"}
    assert experience.adapter == "upstream:gpt-x"


def test_a_whole_answer_passes_through_and_is_recorded(serve, fake, store):
    fake.reply = json.dumps(WHOLE).encode()
    served = serve(UpstreamAnswerer(fake.url + "/", model="mine"))
    answer = create(served)
    assert answer.choices[0].message.content == "Hi there"
    assert answer.usage.total_tokens == 3
    assert fake.asked[0][2]["model"] == "mine"
    assert "authorization" not in fake.asked[0][1]
    assert [model.id for model in served.client().models.list()] == ["slowwave", "mine"]
    served.settle()
    assert len(store.experiences()) == 1


def test_tool_calls_and_separators_within_text_pass_through(serve, fake):
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = json.loads(chunk("", "tool_calls")[6:])
    body["choices"][0]["delta"] = {"tool_calls": [call]}
    fake.reply = b": comment\nevent: x\n" + chunk("a\u2028b\x0bc") + b"data: " + json.dumps(body).encode() + b"\r\n\r\n"
    served = serve(UpstreamAnswerer(fake.url))
    chunks = list(create(served, stream=True))
    assert chunks[0].choices[0].delta.content == "a\u2028b\x0bc"
    assert chunks[1].choices[0].delta.tool_calls[0].function.name == "f"
    alive_with_nothing_recorded(served)  # a call is no answer in words


def test_models_are_the_upstreams(serve, fake):
    fake.reply = b'{"object": "list", "data": [{"id": "up-1"}, {"id": "up-2"}]}'
    served = serve(UpstreamAnswerer(fake.url))
    assert [model.id for model in served.client().models.list()] == ["up-1", "up-2"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_that_is_down_is_a_502(serve, stream):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        served = serve(UpstreamAnswerer(url))
        with pytest.raises(openai.InternalServerError) as caught:
            create(served, stream=stream)
    assert caught.value.status_code == 502
    assert caught.value.code == "upstream_error"
    assert url in caught.value.message
    alive_with_nothing_recorded(served)


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_upstream_is_a_502(serve, fake, stream, monkeypatch):
    monkeypatch.setattr(upstream, "TIMEOUT", httpx.Timeout(0.3))
    fake.reply, fake.pause = b"\n\n", 2
    served = serve(UpstreamAnswerer(fake.url))
    with pytest.raises(openai.InternalServerError, match="silent"):
        create(served, stream=stream)
    alive_with_nothing_recorded(served)


GARBAGE = {
    "nothing": b"",
    "html": b"<html>hello</html>\n",
    "done at once": DONE,
    "no json": b"data: {broken\n\n",
    "a list": b"data: [1]\n\n",
    "no choices": b'data: {"a": 1}\n\n',
    "a wrong choice": b'data: {"choices": [5]}\n\n',
    "a wrong delta": b'data: {"choices": [{"delta": {"content": 5}}]}\n\n',
    "a wrong finish": b'data: {"choices": [{"delta": {}, "finish_reason": ["stop"]}]}\n\n',
    "binary": b"data: \xff\xfe\n\n" + bytes(range(256)),
    "half a surrogate": b'data: {"choices": [{"delta": {"content": "\\ud800"}}]}\n\n',
    "not a number": b'data: {"choices": [], "usage": NaN}\n\n',
    "deep": b"data: " + b"[" * 200_000 + b"\n\n",
    "an error": b'data: {"error": {"message": "overloaded"}}\n\n',
    "truncated": b"data: " + b'{"choices": [{"de',
    "no end": b"data: " + b"x" * (3 << 20),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_in_place_of_an_answer_is_a_502(forwarding, kind):
    served, fake = forwarding
    fake.status = 200
    fake.reply = GARBAGE[kind]
    for stream in (True, False):
        with pytest.raises(openai.InternalServerError) as caught:
            create(served, stream=stream)
        assert caught.value.status_code == 502
        assert caught.value.body["type"] == "upstream_error"
    alive_with_nothing_recorded(served)


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_in_the_middle_is_an_error_event_and_a_clean_end(forwarding, kind):
    served, fake = forwarding
    fake.status = 200
    fake.reply = chunk("Hi") + GARBAGE[kind]
    stream = iter(create(served, stream=True))
    assert next(stream).choices[0].delta.content == "Hi"
    with pytest.raises(openai.APIError, match="upstream") as caught:
        next(stream)
    assert caught.value.code == "upstream_error"
    with served.http() as http:
        text = http.post("/v1/chat/completions", json={"messages": HELLO, "stream": True}).text
    assert text.endswith("data: [DONE]\n\n")
    alive_with_nothing_recorded(served)


def test_garbage_after_the_last_word_is_no_good_exchange(forwarding):
    served, fake = forwarding
    fake.status = 200
    fake.reply = chunk("Hi") + chunk("", "stop") + b"garbage\n"
    with pytest.raises(openai.APIError, match="upstream"):
        list(create(served, stream=True))
    alive_with_nothing_recorded(served)


@pytest.mark.parametrize(
    ("status", "seen"), [(400, 400), (404, 404), (429, 429), (401, 502), (403, 502), (500, 502), (503, 502), (302, 502)]
)
def test_statuses_of_the_upstream(forwarding, status, seen):
    served, fake = forwarding
    fake.status, fake.reply = status, b'{"error": {"message": "because of X"}}'
    for stream in (False, True):
        with pytest.raises(openai.APIStatusError, match="because of X") as caught:
            create(served, stream=stream)
        assert caught.value.status_code == seen
    alive_with_nothing_recorded(served)


def test_what_an_upstream_says_of_its_failure_is_logged_on_one_harmless_line(forwarding, caplog):
    served, fake = forwarding
    said = "\x1b]0;owned\x07\x1b[2J\x9b31m gr\xfcn\nWARNING forged \u202e"
    fake.status, fake.reply = 500, json.dumps({"error": {"message": said}}).encode()
    with pytest.raises(openai.InternalServerError):
        create(served, stream=False)
    [logged] = [entry.getMessage() for entry in caplog.records if entry.name.startswith("slowwave")]
    assert logged.isprintable() and "gr\xfcn WARNING forged" in logged


def test_a_client_that_leaves_makes_the_upstream_stop(serve, fake):
    fake.reply, fake.pause = chunk("word") * 500, 0.01
    served = serve(UpstreamAnswerer(fake.url))
    with create(served, stream=True) as stream:
        next(iter(stream))
    assert fake.left.wait(5)
    alive_with_nothing_recorded(served)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://", "/v1"])
def test_an_address_that_is_none_is_refused_at_the_start(url):
    with pytest.raises(UsageError, match="address"):
        UpstreamAnswerer(url)
