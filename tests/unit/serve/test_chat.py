"""The protocol, as the official client speaks it."""

from __future__ import annotations

import json
import logging
import socket
import time

import httpx
import openai
import pytest

HELLO = [{"role": "user", "content": "good morning to you"}]


def test_an_answer_has_text_usage_and_the_version_that_gave_it(echo):
    client = echo.client()
    raw = client.chat.completions.with_raw_response.create(model="slowwave", messages=HELLO)
    answer = raw.parse()
    assert answer.choices[0].message.content == "base: good morning to you"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (4, 5, 9)
    assert answer.model == raw.headers["x-slowwave-adapter"] == "default@base"
    assert answer.system_fingerprint == "sha256:" + "b" * 64
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")


def test_a_stream_says_the_same_in_chunks(echo):
    client = echo.client()
    with client.chat.completions.create(
        model="slowwave", messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        assert stream.response.headers["x-slowwave-adapter"] == "default@base"
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {"default@base"}
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert texts == ["base:", " good", " morning", " to", " you"]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 9
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_stream_counts_only_when_asked_and_ends_with_done(echo):
    with echo.http() as http:
        text = http.post("/v1/chat/completions", json={"messages": HELLO, "stream": True}).text
    assert text.endswith("data: [DONE]\n\n")
    assert "usage" not in text


def test_several_choices_each_with_its_own_seed(serve):
    served = serve()
    asked = {"model": "slowwave", "messages": HELLO, "n": 3, "temperature": 0.7, "top_p": 0.9, "seed": 5}
    answer = served.client().chat.completions.create(**asked)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 15)
    assert [call["seed"] for call in served.engine.asked] == [5, 6, 7]
    assert {(call["temperature"], call["top_p"]) for call in served.engine.asked} == {(0.7, 0.9)}
    chunks = list(served.client().chat.completions.create(**asked, stream=True))
    assert {chunk.choices[0].index for chunk in chunks} == {0, 1, 2}
    assert sum(chunk.choices[0].finish_reason == "stop" for chunk in chunks) == 3


def test_without_temperature_answers_are_greedy_and_without_seed_samples_differ(serve):
    served = serve()
    for _ in range(2):
        served.client().chat.completions.create(model="slowwave", messages=HELLO)
    assert {call["temperature"] for call in served.engine.asked} == {0.0}
    assert len({call["seed"] for call in served.engine.asked}) == 2


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_longest_answer(echo, name):
    answer = echo.client().chat.completions.create(model="slowwave", messages=HELLO, **{name: 2})
    assert answer.choices[0].message.content == "base: good"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 2


@pytest.mark.parametrize("stop", ["morning", ["xyz", "morning"]])
def test_stop_strings(echo, stop):
    answer = echo.client().chat.completions.create(model="slowwave", messages=HELLO, stop=stop)
    assert answer.choices[0].message.content == "base: good"
    assert answer.choices[0].finish_reason == "stop"


def test_what_clients_send_besides_is_tolerated(echo):
    answer = echo.client().chat.completions.create(
        model="slowwave",
        messages=[
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": HELLO[0]["content"], "name": "ann"},
        ],
        frequency_penalty=0.5,
        logit_bias={},
        response_format={"type": "text"},
        metadata={"a": "b"},
        user="ann",
        extra_body={"top_k": 40, "temperature": None, "stop": None, "stream_options": None},
    )
    assert answer.choices[0].message.content.endswith("good morning to you")


def test_content_in_parts_is_text_and_anything_else_is_refused(echo):
    parts = [{"type": "text", "text": "good"}, {"type": "text", "text": "morning"}]
    answer = echo.client().chat.completions.create(model="slowwave", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "base: good morning"
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    with pytest.raises(openai.BadRequestError, match="reads text only"):
        echo.client().chat.completions.create(model="slowwave", messages=[{"role": "user", "content": image}])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1), ("temperature", 2.1), ("temperature", "hot"), ("top_p", 0), ("top_p", 1.5), ("n", 0),
        ("n", 1000), ("max_tokens", 0), ("max_tokens", -5), ("seed", 1.5), ("stop", [""]), ("stop", ["a"] * 5),
        ("messages", []), ("messages", "hi"), ("messages", [{"role": "wizard", "content": "hi"}]),
        ("messages", [{"role": "user", "content": 5}]), ("stream", "yes"), ("model", 3),
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused_by_name(echo, field, value):
    with echo.http() as http:
        answer = http.post("/v1/chat/completions", json={"model": "slowwave", "messages": HELLO, field: value})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].split(".")[0] == field
    assert error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"hello", b"[]", b"null", b"{", b"\xff\xfe\x00", b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": ' + b"[" * 100_000, b'{"messages": [{"role": "user", "content": "a"}], "temperature": NaN}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_request_is_refused_and_the_server_lives(echo, body):
    with echo.http() as http:
        answer = http.post("/v1/chat/completions", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]
        assert http.get("/health").status_code == 200


def test_a_megabyte_in_one_message_exceeds_the_context_and_is_told_so(echo):
    client = echo.client()
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(
                model="slowwave", messages=[{"role": "user", "content": "word " * 210_000}], stream=stream
            )
        assert caught.value.code == "context_length_exceeded"
    assert client.chat.completions.create(model="slowwave", messages=HELLO).choices


def test_a_body_beyond_the_bound_is_too_large(echo):
    with pytest.raises(openai.APIStatusError) as caught:
        echo.client().chat.completions.create(model="slowwave", messages=[{"role": "user", "content": "w" * (5 << 20)}])
    assert caught.value.status_code == 413
    with echo.http() as http:  # without a length in front
        chunks = (b"x" * 65536 for _ in range(80))
        assert http.post("/v1/chat/completions", content=chunks).status_code == 413


def test_a_client_that_hangs_up_while_it_sends_is_no_defect(echo, monkeypatch):
    logged = []
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "handle", logged.append)
    with socket.create_connection(("127.0.0.1", httpx.URL(echo.url).port)) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        time.sleep(0.1)
    assert echo.client().chat.completions.create(model="slowwave", messages=HELLO).choices
    assert logged == []


def test_an_unknown_model_is_not_found(echo):
    with pytest.raises(openai.NotFoundError, match="'gpt-9' is not served") as caught:
        echo.client().chat.completions.create(model="gpt-9", messages=HELLO)
    assert caught.value.code == "model_not_found"


def test_models_are_the_alias_the_persona_and_the_version(echo):
    client = echo.client()
    names = [model.id for model in client.models.list()]
    assert names == ["slowwave", "default", "default@base"]
    for name in names:
        assert client.chat.completions.create(model=name, messages=HELLO).model == "default@base"


def test_routes_that_do_not_exist_answer_in_the_same_shape(echo):
    with echo.http() as http:
        assert http.get("/v1/nothing").json()["error"]["code"] == "unknown_url"
        assert http.get("/v1/chat/completions").status_code == 405
        assert http.get("/docs").status_code == 404


def test_a_client_that_leaves_ends_the_generation(serve):
    served = serve()
    served.engine.delay = 0.02
    long = [{"role": "user", "content": "word " * 900}]
    with served.client().chat.completions.create(model="slowwave", messages=long, stream=True) as stream:
        for _ in range(3):
            next(iter(stream))
    assert served.engine.ended.wait(5)
    assert served.engine.spoken < 500
    served.engine.ended.clear()
    with pytest.raises(openai.APITimeoutError):
        served.client().with_options(timeout=0.3).chat.completions.create(model="slowwave", messages=long)
    assert served.engine.ended.wait(5)
    assert served.engine.spoken < 500
    served.engine.delay = 0
    assert served.client().chat.completions.create(model="slowwave", messages=HELLO).choices


def test_a_defect_in_the_engine_is_told_without_a_traceback(serve, monkeypatch):
    served = serve()

    def broken(*_, **__):
        yield "so far"
        raise RuntimeError("secret detail")

    monkeypatch.setattr(served.engine, "stream", broken)
    with served.http() as http:
        answer = http.post("/v1/chat/completions", json={"messages": HELLO})
        assert answer.status_code == 500
        assert answer.json()["error"]["type"] == "server_error"
        assert "secret" not in answer.text
        stream = http.post("/v1/chat/completions", json={"messages": HELLO, "stream": True})
    *_, last, done, end = stream.text.split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "internal_error"
    assert (done, end) == ("data: [DONE]", "")
    assert "secret" not in stream.text
    monkeypatch.undo()
    assert served.client().chat.completions.create(model="slowwave", messages=HELLO).choices
