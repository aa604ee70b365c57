"""The server as a process of its own: killed, interrupted, asked to stop."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from slowwave.experience.store import Store

HERE = Path(__file__).parent
SCRIPT = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from conftest import EchoEngine
    from slowwave.experience.store import Store
    from slowwave.models.registry import Registry
    from slowwave.serve.answer import LocalAnswerer
    from slowwave.serve.app import create_app
    from slowwave.serve.auth import Keys
    from slowwave.serve.recorder import Recorder
    from slowwave.serve.run import address_of, listen, run

    home = Path(sys.argv[2])
    engine, registry = EchoEngine(), Registry(home)
    engine.delay = float(sys.argv[3])
    with listen("127.0.0.1", 0, Keys()) as taken, Store(home) as store:
        print(address_of(taken), flush=True)
        run(create_app(LocalAnswerer(engine, registry), Recorder(store), Keys(), (registry, store)), taken)
"""


@contextlib.contextmanager
def process(home: Path, delay: float = 0.0) -> Iterator[tuple[subprocess.Popen[str], openai.OpenAI]]:
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(HERE), str(home), str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            url = running.stdout.readline().strip()
            assert url, running.stderr and running.stderr.read()
            yield running, openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=20)
        finally:
            running.kill()


def ask(client, text, **options):
    return client.chat.completions.create(model="slowwave", messages=[{"role": "user", "content": text}], **options)


def test_a_kill_right_after_an_answer_leaves_a_whole_record_or_none(tmp_path):
    asked = []
    for round in range(4):
        with process(tmp_path) as (running, client):
            for number in range(round + 1):
                asked.append(f"round {round} number {number} " + "x" * 50_000)
                ask(client, asked[-1], stream=bool(round % 2)).close() if round % 2 else ask(client, asked[-1])
            running.kill()
            running.wait()
        with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite3")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Store(tmp_path) as store:
        recorded = store.experiences()
    for experience in recorded:
        question, answer = (message["content"] for message in experience.messages)
        assert question in asked
        assert answer == f"base: {question}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_and_what_was_answered_is_written(tmp_path, number):
    with process(tmp_path) as (running, client):
        ask(client, "remember this")
        running.send_signal(number)
        assert running.wait(15) == 0
        assert running.stderr.read() == ""
    with Store(tmp_path) as store:
        assert [experience.messages[0]["content"] for experience in store.experiences()] == ["remember this"]


def test_answers_that_run_get_their_grace_and_then_the_server_stops(tmp_path):
    with process(tmp_path, delay=0.05) as (running, client):
        stream = iter(ask(client, "word " * 900, stream=True))
        next(stream)
        running.send_signal(signal.SIGTERM)
        with pytest.raises(openai.APIError, match="The server is stopping"):
            list(stream)
        assert running.wait(15) == 0
        assert "Traceback" not in running.stderr.read()
    with Store(tmp_path) as store:
        assert store.experiences() == []
