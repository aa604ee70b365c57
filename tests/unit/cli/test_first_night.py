"""What the first night keeps of its questions, with the model, the scoring and the night replaced by their results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slowwave.cli import first_night
from slowwave.cli import main as cli
from slowwave.models.registry import ServingVersion
from slowwave.night import history
from slowwave.night.history import NightSummary


class Life:
    """A home's one night. `interrupt` is the phase of the questions that Ctrl-C ends."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.nights: list[NightSummary] = []
        self.interrupt = ""
        monkeypatch.setattr(first_night, "score", lambda session: None)
        monkeypatch.setattr(first_night, "sleep_once", self.sleep)
        monkeypatch.setattr(first_night, "answer_all", self.answer)
        monkeypatch.setattr(history, "nights", lambda home: self.nights)
        monkeypatch.setattr("slowwave.models.registry.Registry.serving", lambda registry, persona: self.served())
        monkeypatch.setattr("slowwave.cli._common.Session.served", lambda session: (self.served().name, None))

    def served(self) -> ServingVersion:
        if self.nights:
            return ServingVersion("default@n0001", self.home, "")
        return ServingVersion("default@base", None, None)

    def answer(self, session: Any, questions: list[str], tokens: int) -> tuple[list[str], str]:
        if self.interrupt == ("after" if self.nights else "before"):
            raise KeyboardInterrupt
        return [self.served().name] * len(questions), self.served().name

    def sleep(self, session: Any) -> NightSummary:
        number = len(self.nights) + 1
        self.nights.append(
            NightSummary(number, "default", "promoted", f"default@n{number:04d}", "default@base",
                         [], [], {}, "", 1.0, None, self.home)
        )  # fmt: skip
        return self.nights[-1]


@pytest.fixture
def life(home: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    return Life(home, monkeypatch)


def first(life: Life, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["slowwave", "first-night", "--home", str(life.home), "--json"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("interrupt", ["before", "after", ""])
def test_answers_before_are_the_bases_whatever_was_interrupted(
    interrupt: str, life: Life, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    life.interrupt = interrupt
    assert first(life, monkeypatch, capsys)[0] == (130 if interrupt else 0)
    life.interrupt = ""
    for _ in range(2):  # the rest of it, and a look back
        code, out, _ = first(life, monkeypatch, capsys)
        data = json.loads(out)
        assert (code, data["night"], len(life.nights)) == (0, 1, 1)
        assert {row["before"] for row in data["questions"]} == {"default@base"}
        assert {row["after"] for row in data["questions"]} == {"default@n0001"}


def test_a_home_that_slept_before_it_was_asked_is_refused(
    life: Life, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first(life, monkeypatch, capsys)
    (life.home / "first_night_answers.json").unlink()
    code, _, err = first(life, monkeypatch, capsys)
    assert (code, "was not asked before that night" in err) == (2, True)
    assert not (life.home / "first_night_answers.json").exists()
