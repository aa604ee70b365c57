"""What the morning report says besides verdict and lessons: what happened to the dreams, what the judge may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slowwave.night import folder
from slowwave.night.besides import besides
from slowwave.night.folder import NightFolder

STOPPED, AGAIN = "no more was written", "dreamt once more"
DIVERSE = {"distinct": 0.5, "spread": 0.25}


@pytest.fixture
def night(tmp_path: Path) -> NightFolder:
    return folder.create(tmp_path, {"persona": "default"})


def dreams(
    night: NightFolder, *, stopped: str = "", diversity: Any = None, again: bool = False, poor: bool = False
) -> str:
    spent = {"tokens": 7, "seconds": 1.5, "stopped": stopped}
    night.write("dreams.json", {"scenes": 8, "spent": spent, "diversity": diversity, "again": again, "poor": poor})
    return besides(night)["Dreams"]


def test_a_night_of_which_nothing_is_known_says_nothing(night: NightFolder) -> None:
    assert besides(night) == {}


def test_why_no_more_was_written_is_said_where_the_dreamer_stopped(night: NightFolder) -> None:
    assert STOPPED not in dreams(night, diversity=DIVERSE, again=True)
    said = dreams(night, stopped="its 5 tokens were spent.", diversity=DIVERSE)
    assert f"; {STOPPED}: its 5 tokens were spent; 50%" in said and AGAIN not in said


def test_that_it_was_dreamt_once_more_is_said_where_it_was(night: NightFolder) -> None:
    assert AGAIN not in dreams(night, diversity=DIVERSE)
    assert dreams(night, diversity=DIVERSE, again=True).endswith(f", {AGAIN} as the first were too much alike.")
    assert dreams(night, diversity=DIVERSE, again=True, poor=True).endswith(" too much alike, and these still are.")


def test_what_a_model_with_a_rubric_refused_is_told(night: NightFolder) -> None:
    assert "rubric" not in dreams(night)
    judged = {"asked": 90, "refused": 7, "open": 0, "stopped": ""}
    tell = lambda **more: night.write("dreams.json", night.read("dreams.json") | {"judged": judged | more})  # noqa: E731
    tell()
    assert besides(night)["Dreams"].endswith("; of 90 wordings a model with a rubric refused 7.")
    tell(open=2, stopped="It is silent.")
    said = "refused 7, and said neither yes nor no to 2; it judged no more: It is silent."
    assert besides(night)["Dreams"].endswith(said)
    night.write("lessons.json", {"lessons": [{"id": "a", "note": "A."}]})
    night.write("exam.json", {"training": {"converged": ["a"], "judged": judged}})
    assert besides(night)["Rounds"] == "1 of 1 lessons converged; of 90 answers a model with a rubric refused 7."
    nothing = {"asked": 0, "refused": 0, "open": 0, "stopped": ""}
    night.write("exam.json", {"training": {"converged": ["a"], "judged": nothing}})
    assert besides(night)["Rounds"] == "1 of 1 lessons converged."


def test_what_was_written_anew_between_rounds_is_told(night: NightFolder) -> None:
    night.write("lessons.json", {"lessons": [{"id": "a", "note": "Tea."}]})
    training = {"converged": ["a"], "written": {"tokens": 9, "seconds": 2.4, "stopped": ""}}
    night.write("exam.json", {"training": training})
    assert besides(night)["Rounds"] == "1 of 1 lessons converged; 9 tokens were written anew between rounds in 2 s."
    training["written"] = {"tokens": 0, "seconds": 0.0, "stopped": "its 5 tokens were spent"}
    night.write("exam.json", {"training": training})
    assert besides(night)["Rounds"].endswith("rounds in 0 s; no more was written: its 5 tokens were spent.")
    training["written"] = {"tokens": 0, "seconds": 0.0, "stopped": ""}
    night.write("exam.json", {"training": training})
    assert besides(night)["Rounds"] == "1 of 1 lessons converged.", "all were known after the first round"


@pytest.mark.parametrize(
    ("trusted", "told"),
    [
        (True, "so it may choose the answers of lessons that came without one (1 of 3 tonight)."),
        (False, "no better than chance, so it decided nothing."),
    ],
)
def test_the_judge_is_said_to_do_what_it_may(night: NightFolder, trusted: bool, told: str) -> None:
    """It is asked where a lesson came without an answer, and nowhere else. A habit needs none."""
    lessons = [
        {"kind": "answer", "answer": "Ilse."}, {"kind": "note", "answer": None}, {"kind": "cue", "answer": None}
    ]  # fmt: skip
    night.write("lessons.json", {"lessons": lessons})
    night.write("judge.json", {"share": 0.9, "labels": 12, "chance": 0.6, "trusted": trusted})
    assert besides(night)["Judge"].endswith(told)
    night.write("exam.json", {"training": {"converged": None, "liked": trusted}})
    liked = ", and chose among good answers between rounds."
    assert besides(night)["Judge"].endswith(told.rstrip(".") + liked if trusted else told)
