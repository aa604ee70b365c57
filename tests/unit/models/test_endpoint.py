"""An endpoint that dreams: what it is asked, and what becomes of what it does wrong."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from slowwave.errors import UpstreamError
from slowwave.models.endpoint import Endpoint
from slowwave.records import Message
from tests.unit.serve.test_upstream import WHOLE, FakeUpstream

OPTIONS = {"max_new_tokens": 40, "temperature": 0.8}


@pytest.fixture
def server() -> Iterator[FakeUpstream]:
    one = FakeUpstream()
    one.reply = json.dumps(WHOLE).encode()
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    yield one
    one.shutdown()
    one.server_close()
    thread.join()


def test_every_prompt_is_continued_so_many_times(server: FakeUpstream) -> None:
    endpoint = Endpoint(f"{server.url}/", "big", "secret")
    said = endpoint.complete(["one\n-", "two\n-"], n=3, seed=5, stop=["\n\n", "Question:"], **OPTIONS)  # type: ignore[arg-type]
    assert said == [["Hi there\n"] * 3] * 2, "an answer that ended has its last line whole"
    assert len(server.asked) == 6
    for path, headers, body in server.asked:
        assert path == "/v1/chat/completions" and headers["authorization"] == "Bearer secret"
        assert body["model"] == "big" and body["max_tokens"] == 40 and body["stop"] == ["\n\n", "Question:"]
        assert body["messages"][0]["content"].endswith(("one\n-", "two\n-"))
    assert len({body["seed"] for _, _, body in server.asked}) == 6


def test_a_cut_answer_has_no_last_line(server: FakeUpstream) -> None:
    cut = {**WHOLE, "choices": [{**WHOLE["choices"][0], "finish_reason": "length"}]}
    server.reply = json.dumps(cut).encode()
    assert Endpoint(server.url, "big").complete(["one"], **OPTIONS) == [["Hi there"]]  # type: ignore[arg-type]
    assert "authorization" not in server.asked[0][1]


def test_chats_are_answered_greedily(server: FakeUpstream) -> None:
    chats: list[tuple[Message, ...]] = [({"role": "user", "content": text},) for text in ("one", "two")]
    assert Endpoint(server.url, "big").reply(chats, max_new_tokens=4) == ["Hi there"] * 2
    bodies = [body for _, _, body in server.asked]
    assert sorted(body["messages"][0]["content"] for body in bodies) == ["one", "two"]
    assert all(body["temperature"] == 0 and body["max_tokens"] == 4 and body["model"] == "big" for body in bodies)


@pytest.mark.parametrize(
    "reply",
    [b"no json", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}', b'{"choices": 3}',
     b'{"choices": [7]}', b""],
)  # fmt: skip
def test_what_is_no_answer_is_one_error(server: FakeUpstream, reply: bytes) -> None:
    server.reply = reply
    with pytest.raises(UpstreamError, match="The model big at http"):
        Endpoint(server.url, "big").complete(["one"], **OPTIONS)  # type: ignore[arg-type]


def test_one_that_refuses_is_not_asked_hundreds_of_times(server: FakeUpstream) -> None:
    server.status = 500
    with pytest.raises(UpstreamError, match="answered with status 500"):
        Endpoint(server.url, "big").complete(["one"] * 200, **OPTIONS)  # type: ignore[arg-type]
    assert len(server.asked) < 100


def test_one_that_is_down_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UpstreamError, match="cannot be used") as error:
        Endpoint(f"http://127.0.0.1:{port}/v1", "big").complete(["one"], **OPTIONS)  # type: ignore[arg-type]
    assert error.value.hint == "Is it running?"
