"""The memory commands on the sample day, with the real embedding model."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import networkx
import pytest

from slowwave.cli import main as cli
from slowwave.experience.store import Store

DAY = Path(__file__).parents[2] / "src/slowwave/data/first_night.jsonl"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    slowwave(home, "import", str(DAY))
    return home


def slowwave(home: Path, *arguments: str, status: int = 0) -> Any:
    """What `slowwave ARGUMENTS --json` prints, or standard error where it fails; in this process, which has torch."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("sys.argv", ["slowwave", *arguments, "--home", str(home), "--json"])
        with pytest.raises(SystemExit) as left:
            cli.main()
    assert (left.value.code or 0) == status, err.getvalue()
    return err.getvalue() if status else json.loads(out.getvalue())


def test_a_kill_while_linking_loses_nothing_and_the_next_call_goes_on(home: Path) -> None:
    code = """
import os, signal, sys
from slowwave.experience import linking
from slowwave.experience.graph import GraphStore
linking.BATCH, add, calls = 10, GraphStore.add, []
def dying(self, *inputs):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, *inputs)
GraphStore.add = dying
from slowwave.cli.main import main
main()
"""
    killed = subprocess.run([sys.executable, "-c", code, "memory", "list", "--home", str(home)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    with Store(home) as store:
        assert sum(node.kind == "experience" for node in store.graph.load("default").nodes) == 20
    listed = slowwave(home, "memory", "list")
    assert listed["nodes"]["experience"] == 42
    assert {"similar", "mentions", "follows"} <= listed["links"].keys()
    assert {row["lives_in"] for row in listed["lessons"]} == {"prompt"}


def test_what_is_meant_is_found_by_words_and_shown_with_what_lies_around_it(home: Path) -> None:
    shown = slowwave(home, "memory", "show", "the name of my dog", "--limit", "3")
    assert shown["node"]["text"] == "What is my dog called?"
    assert {link["kind"] for link in shown["links"]} >= {"mentions"}
    assert len(shown["links"]) <= 3 and len(shown["near"]) <= 3
    by_id = slowwave(home, "memory", "show", shown["node"]["id"].partition(":")[2])
    assert by_id["node"] == shown["node"]
    named = slowwave(home, "memory", "show", "DENTIST")
    assert named["node"]["kind"] == "entity"
    assert "Nothing like" in slowwave(home, "memory", "show", "zxqv 0xdeadbeef", status=1)


def test_quality_and_export(home: Path, tmp_path: Path) -> None:
    figures = slowwave(home, "memory", "quality")["quality"]
    assert figures["memories"] == 42 and 0.3 < figures["coverage"] <= 1 and figures["contradictions"] == 0
    file = tmp_path / "graph.graphml"
    counts = slowwave(home, "memory", "export", str(file))
    read = networkx.read_graphml(file, force_multigraph=True)
    assert (read.number_of_nodes(), read.number_of_edges()) == (counts["nodes"], counts["links"])
    assert "there already" in slowwave(home, "memory", "export", str(file), status=2)
    assert "no folder" in slowwave(home, "memory", "export", str(tmp_path / "no" / "graph.graphml"), status=2)


def test_what_is_erased_is_gone_from_the_graph(home: Path) -> None:
    with Store(home) as store:
        id = next(one.id for one in store.experiences() if "dog called" in str(one.messages))
    gone = slowwave(home, "experiences", "erase", id)
    assert gone["erased"] == id and gone["nodes"] >= 1
    assert "There is no experience" in slowwave(home, "experiences", "show", id, status=1)
    assert "Nothing like" in slowwave(home, "memory", "show", "the name of my dog", status=1)
    assert slowwave(home, "memory", "list")["nodes"]["experience"] == 41
