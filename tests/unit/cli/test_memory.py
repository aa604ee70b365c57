"""`slowwave memory`: which lessons live in the prompt, and which in the weights; what lies around something."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from slowwave.cli import main as cli
from slowwave.experience.store import Store
from slowwave.memory.graph import Graph, Links
from slowwave.night.lessons import from_note
from slowwave.records import Node


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


def node(id: str) -> Node:
    return Node(id, "default", "experience", f"text of {id}", 0.0)


def shown(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr("slowwave.cli.memory.linked", lambda session: graph)
    monkeypatch.setattr("sys.argv", ["slowwave", "memory", "show", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out + said.err


@pytest.mark.usefixtures("home")
def test_an_id_is_found_though_others_begin_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"experience:c1.{at}" for at in (10, 1, 11)]
    graph = Graph(tuple(map(node, ids)), np.zeros((3, 0), np.float32), Links.of([]))
    for what in ("c1.1", "experience:c1.1"):
        code, out = shown(graph, monkeypatch, capsys, what)
        assert code == 0 and "text of experience:c1.1" in out and "c1.10" not in out
    code, out = shown(graph, monkeypatch, capsys, "c1")
    assert code == 2 and "3 ids begin with 'c1'" in out


@pytest.mark.usefixtures("home")
def test_what_is_linked_directly_is_not_near_over_several_links(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = tuple(node(f"experience:n{at}") for at in range(6))
    links = Links.of([(0, at, "similar", 1.0) for at in range(1, 5)] + [(1, 5, "similar", 1.0)])
    graph = Graph(nodes, np.zeros((6, 0), np.float32), links)
    _, out = shown(graph, monkeypatch, capsys, "n0", "--limit", "2", "--json")
    told = json.loads(out)
    assert len(told["links"]) == 2 and [one["node"]["id"] for one in told["near"]] == ["experience:n5"]
