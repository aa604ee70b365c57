"""`slowwave judge` on the sample day, with the real models: in one process, which loads them once."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from slowwave.cli import main as cli
from slowwave.experience.store import Store
from slowwave.night.lessons import extract
from slowwave.records import Experience

DAY = Path(__file__).parents[2] / "src/slowwave/data/first_night.jsonl"


def slowwave(capsys: pytest.CaptureFixture[str], home: Path, *arguments: str) -> tuple[int, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["slowwave", *arguments, "--home", str(home)])
        with pytest.raises(SystemExit) as left:
            cli.main()
    told = capsys.readouterr()
    return int(left.value.code or 0), told.out, told.err


def test_the_judge_of_a_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = slowwave(capsys, tmp_path, "judge")
    assert status == 0 and "0 labels: none yet" in out and "Too few to learn from" in out
    status, _, err = slowwave(capsys, tmp_path, "judge", "--ask", "2")
    assert status == 0 and "no answer that you said nothing about" in err
    status, out, _ = slowwave(capsys, tmp_path, "judge", "What is my dog called?", "Rex.", "--json")
    assert status == 0 and json.loads(out)["chance"] == 0.5
    slowwave(capsys, tmp_path, "import", str(DAY))
    status, out, _ = slowwave(
        capsys, tmp_path, "judge", "What is my dog called?", "Your dog is called Biscuit.", "--json"
    )
    told = json.loads(out)
    assert status == 0 and told["labels"] == sum(told["by"].values()) > 20
    agreed = told["agreement"]
    assert agreed["labels"] == told["labels"] and 0 <= agreed["low"] <= agreed["share"] <= agreed["high"] <= 1
    assert told["trusted"] == (agreed["low"] > agreed["chance"])
    assert 0 < told["chance"] < 1
    status, _, err = slowwave(capsys, tmp_path, "judge", "Who are you?")
    assert status == 2 and "judged with its answer" in err
    status, _, err = slowwave(capsys, tmp_path, "judge", "--ask", "-1")
    assert status == 2 and "--ask" in err
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO("g\nwhat?\nb\nq\n"))
        status, out, err = slowwave(capsys, tmp_path, "judge", "--ask", "9", "--json")
    asked = json.loads(out)
    assert status == 0 and asked["rated"] == 2 and asked["labels"] == told["labels"] + 2
    assert asked["by"]["rating"] == told["by"].get("rating", 0) + 2
    shown = [line for line in err.splitlines() if line and not line.startswith("  ")]
    assert len(set(shown)) == len(shown) == 5, "what to type, three questions, and what to type once more"
    assert "Enter or q?" in shown[3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(""))
        status, out, _ = slowwave(capsys, tmp_path, "judge", "--ask", "3")
    assert status == 0 and "0 answers rated." in out


def test_what_was_asked_after_an_answer_that_is_called_bad_corrects_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ("What is the capital of France?", "A village.", "Write me a haiku about rain.")
    with Store(tmp_path) as store:
        turns = tuple({"role": "user" if at % 2 == 0 else "assistant", "content": text} for at, text in enumerate(said))
        store.add(Experience("e1", "default", "user:ann", "2026-03-01T09:00:00Z", turns, authority="user"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO("b\n"))
        status, out, _ = slowwave(capsys, tmp_path, "judge", "--ask", "1")
    assert status == 0 and "1 answers rated." in out
    with Store(tmp_path) as store:
        (lived,) = store.experiences("default")
        assert lived.outcome.rating == -1 and extract(lived) is None
        made_up = ("Where is the Zorblax Museum?", "In Paris.", "There is no such museum.")
        turns = tuple({"role": r, "content": t} for r, t in zip(("user", "assistant", "user"), made_up, strict=True))
        store.add(Experience("e2", "default", "user:ann", "2026-03-02T09:00:00Z", turns, authority="user"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO("b\n"))
        slowwave(capsys, tmp_path, "judge", "--ask", "1")
    with Store(tmp_path) as store:
        assert store.experience("e2").outcome.rating == -1
        assert extract(store.experience("e2")) is not None, "what taught something by itself stays"
