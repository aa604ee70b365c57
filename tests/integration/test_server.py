"""The server with the real default model, started as a user starts it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import torch
from peft import LoraConfig

from slowwave.experience.store import Store
from slowwave.learn import adapter as lora
from slowwave.models.engine import Engine
from slowwave.models.manifest import Manifest
from slowwave.models.registry import Registry
from slowwave.serve.auth import Keys
from slowwave.serve.run import listen

PARIS = [{"role": "user", "content": "What is the capital of France?"}]
MODEL = "smollm2-135m-instruct"


@contextlib.contextmanager
def running(home: Path, cache: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], openai.OpenAI]]:
    command = [sys.executable, "-m", "slowwave", "serve", "--json", "--port", "0", "--home", str(home), *options]
    environment = os.environ | {"SLOWWAVE_CACHE": str(cache), "SLOWWAVE_KEY": ""}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line, server.stderr and server.stderr.read()
            client = openai.OpenAI(base_url=json.loads(line)["url"], api_key="none", max_retries=0, timeout=120)
            yield server, client
        finally:
            server.kill()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def client(home: Path, cache: Path) -> Iterator[openai.OpenAI]:
    with running(home, cache) as (_, client):
        yield client


def ask(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(**{"model": "slowwave", "messages": PARIS, "max_tokens": 24} | options)


def test_it_knows_paris_and_streams_the_same(client: openai.OpenAI) -> None:
    answer = ask(client)
    assert "Paris" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "default@base"
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.strip() == answer.choices[0].message.content
    assert chunks[-1].usage == answer.usage


def test_sampling_follows_its_seed_and_choices_differ(client: openai.OpenAI) -> None:
    story = [{"role": "user", "content": "Tell me a story about the sea."}]
    options = {"messages": story, "temperature": 1.0, "top_p": 0.95, "n": 2, "max_tokens": 12}
    texts = [[c.message.content for c in ask(client, seed=seed, **options).choices] for seed in (1, 1, 9)]
    assert texts[0] == texts[1] != texts[2]
    assert texts[0][0] != texts[0][1]


def test_stop_and_length(client: openai.OpenAI) -> None:
    stopped = ask(client, stop="Paris").choices[0]
    assert "Paris" not in stopped.message.content
    assert stopped.finish_reason == "stop"
    short = ask(client, max_tokens=2)
    assert short.choices[0].finish_reason == "length"
    assert short.usage.completion_tokens == 2


def test_a_message_of_a_megabyte_is_refused_and_the_next_is_answered(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, messages=[{"role": "user", "content": "sleep well " * 95_000}])
    assert caught.value.code == "context_length_exceeded"
    assert "Paris" in ask(client).choices[0].message.content


def test_a_promoted_night_is_served_at_once_and_undone(client: openai.OpenAI, home: Path, cache: Path) -> None:
    before = ask(client)
    engine, registry = Engine.load(cache / "models" / MODEL), Registry(home)
    assert before.system_fingerprint == f"sha256:{engine.base_hash}"

    staged = registry.stage("default", 1)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    lora.inject(engine.model, config, "made")
    generator = torch.Generator().manual_seed(0)
    for name, parameter in lora.parameters(engine.model, "made").items():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    lora.save(engine.model, "made", config, staged)
    manifest = Manifest("default", 1, "default@base", "adapter", engine.base_hash, engine.template_hash)
    assert registry.promote(staged, manifest, lambda: None) == "default@n0001"

    after = ask(client)
    assert after.model == "default@n0001"
    assert after.system_fingerprint == f"sha256:{registry.serving('default').sha256}"
    engine.load_adapter(registry.serving("default").folder)
    with engine.using("default@n0001"):
        *_, own = engine.stream(PARIS, max_new_tokens=24)
    assert after.choices[0].message.content == own.text != before.choices[0].message.content
    registry.undo("default")
    undone = ask(client)
    assert undone.model == "default@base"
    assert undone.choices[0].message.content == before.choices[0].message.content


def test_a_correction_is_known_by_day_and_by_no_other_persona(client: openai.OpenAI, home: Path) -> None:
    dog = [{"role": "user", "content": "What is the name of my dog?"}]
    before = ask(client, messages=dog).choices[0].message.content
    assert "Biscuit" not in before
    told = [
        *dog,
        {"role": "assistant", "content": before},
        {"role": "user", "content": "No, my dog's name is Biscuit."},
    ]
    ask(client, messages=told, max_tokens=2)
    until = time.monotonic() + 30
    while "Biscuit" not in (after := ask(client, messages=dog)).choices[0].message.content:
        assert time.monotonic() < until
    assert after.model == "default@base", "no night has learned it"
    with Store(home) as store:
        store.add_persona("guest")
        assert not any("Keep in mind" in str(lived.messages) for lived in store.experiences())
    guest = ask(client, messages=dog, extra_headers={"x-slowwave-persona": "guest"})
    assert guest.choices[0].message.content == before


def test_an_adapter_of_another_base_is_not_served(client: openai.OpenAI, home: Path) -> None:
    with Store(home) as store:
        store.add_persona("stranger")
    registry = Registry(home)
    staged = registry.stage("stranger", 2)
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        (staged / file).write_text("{}")
    registry.promote(staged, Manifest("stranger", 2, "stranger@base", "adapter", "0" * 64, "0" * 64), lambda: None)
    with pytest.raises(openai.InternalServerError, match="another base") as caught:
        ask(client, extra_headers={"x-slowwave-persona": "stranger"})
    assert caught.value.status_code == 503
    assert "Paris" in ask(client).choices[0].message.content


def test_killed_then_started_again_it_answers_and_a_signal_ends_it(tmp_path: Path, cache: Path) -> None:
    with running(tmp_path, cache) as (server, client):
        answer = ask(client).choices[0].message.content
        server.kill()
    with Store(tmp_path) as store:
        for experience in store.experiences():
            assert experience.messages == (*PARIS, {"role": "assistant", "content": answer})
    with running(tmp_path, cache) as (server, client):
        told = [*PARIS, {"role": "assistant", "content": answer}, {"role": "user", "content": "No, it is Lutetia."}]
        assert ask(client).choices[0].message.content == answer
        ask(client, messages=told)
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    with Store(tmp_path) as store:
        assert store.experiences()[0].messages == tuple(told)


@pytest.mark.parametrize("why", ["port", "key", "model", "keys file", "upstream"])
def test_what_prevents_a_start_is_said_at_once_in_one_line(tmp_path: Path, cache: Path, why: str) -> None:
    with listen("127.0.0.1", 0, Keys()) as taken:
        options = {
            "port": ["--port", str(taken.getsockname()[1])],
            "key": ["--host", "0.0.0.0"],
            "model": ["--model", str(tmp_path / "nothing")],
            "keys file": [],
            "upstream": ["--upstream", "here"],
        }[why]
        (tmp_path / "keys.toml").write_text("???" if why == "keys file" else "")
        command = [sys.executable, "-m", "slowwave", "serve", "--port", "0", "--home", str(tmp_path), *options]
        begun = time.monotonic()
        ended = subprocess.run(
            command,
            env=os.environ | {"SLOWWAVE_CACHE": str(cache)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == (2 if why == "upstream" else 1), ended.stderr
    error, hint = ended.stderr.strip().splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert time.monotonic() - begun < 20
