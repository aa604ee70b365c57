"""`slowwave memory list`: which lessons live in the prompt, and which in the weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from slowwave.cli import main as cli
from slowwave.experience.store import Store
from slowwave.memory.graph import Graph, Links
from slowwave.night.lessons import from_note


@pytest.fixture(autouse=True)
def _nothing_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linking needs the embedder."""
    empty = Graph((), np.zeros((0, 0), np.float32), Links.of([]))
    monkeypatch.setattr("slowwave.cli.memory.linked", lambda session: empty)


def listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["slowwave", "memory", "list", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert not left.value.code
    return capsys.readouterr().out


def test_a_learned_lesson_is_shown_in_the_weights_and_others_in_the_prompt(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dog, cat, hen = (from_note(f"My {one}.", "default") for one in ("dog is Rex", "cat is Tom", "hen is Ada"))
    with Store(home) as store:
        for lesson in (dog, cat, hen):
            store.save_lesson(lesson)
        store.set_status(dog.id, "learned", night=3)
        store.set_status(hen.id, "refused")
    rows = json.loads(listed(monkeypatch, capsys, "--json"))["lessons"]
    assert rows == [
        {"lives_in": "prompt", "id": cat.id, "note": cat.note, "night": None},
        {"lives_in": "weights", "id": dog.id, "note": dog.note, "night": 3},
    ]
    lines = [line.split(maxsplit=2) for line in listed(monkeypatch, capsys).splitlines()]
    assert ["weights", "3", dog.note] in lines and hen.note not in str(lines)
