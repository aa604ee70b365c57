"""`slowwave serve` as a process: the official client talks to it, Ctrl-C ends it, what was said is kept."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from slowwave.experience.store import Store

Process = subprocess.Popen[str]
Serving = Callable[..., Any]


@pytest.fixture
def serving(command: Callable[..., tuple[list[str], dict[str, str]]], tmp_path: Path) -> Serving:
    """`with serving("--upstream", url) as (base_url, process)`."""

    @contextmanager
    def serve(*arguments: str) -> Iterator[tuple[str, Process]]:
        words, environment = command(tmp_path, "serve", "--port", "0", *arguments)
        process = subprocess.Popen(words, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            said = ""
            while "answers at " not in said:
                line = process.stderr.readline()
                assert line, f"it ended with {process.wait()}: {said}"
                said += line
            yield said.split("answers at ")[1].split()[0], process
        finally:
            process.kill()
            process.wait()

    return serve


def stopped(process: Process) -> int:
    """The exit status after Ctrl-C."""
    os.kill(process.pid, signal.SIGINT)
    return process.wait(timeout=60)


def test_official_client_is_answered_and_recorded(serving: Serving, tmp_path: Path) -> None:
    with serving() as (url, process):
        client = openai.OpenAI(base_url=url, api_key="none")
        asked = [{"role": "user", "content": "What is the capital of France?"}]
        answer = client.chat.completions.create(model="slowwave", messages=asked, max_tokens=32, temperature=0)
        pieces = client.chat.completions.create(
            model="slowwave", messages=asked, max_tokens=32, temperature=0, stream=True
        )
        streamed = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        said = answer.choices[0].message.content
        assert "Paris" in said
        assert streamed.strip() == said.strip()
        assert stopped(process) == 0
    with Store(tmp_path / "home") as store:
        (lived,) = store.experiences("default")
    assert lived.messages[-1]["content"].strip() == said.strip()
    assert lived.adapter == "default@base"


def test_upstream_that_is_down_costs_one_answer_and_not_the_server(serving: Serving) -> None:
    with serving("--upstream", "http://127.0.0.1:9/v1") as (url, process):
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        for _ in range(2):
            with pytest.raises(openai.APIStatusError) as refused:
                client.chat.completions.create(model="any", messages=[{"role": "user", "content": "Hi"}])
            assert refused.value.status_code == 502
        assert stopped(process) == 0
