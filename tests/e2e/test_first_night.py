"""One whole night of the real model, through the commands of the README in their order, on one home.

The night is cut down to what a test can wait for: three lessons, few steps, a short panel. `make first-night` runs the
whole of it. The tests of this file build on each other.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.timeout(900)  # the first test waits for the night

Done = Any
Slowwave = Any

SMALL = {
    "model.dtype": "float32",  # the same night on every processor
    "night.max_lessons": 3,
    "dream.composed": 20,
    "dream.near_miss": 8,
    "dream.composed_near": 12,
    "dream.ordinary": 32,
    "dream.watch": 4,
    "dream.near_tokens": 12,  # in few steps the first tokens, in which a lesson fires, must weigh most
    "learn.lesson_batch": 4,
    "learn.anchor_batch": 4,
    "learn.min_steps": 20,
    "learn.kl_weight": 4.0,  # few steps: the lessons are learned, and must not spread
    "learn.drift_bound": 2.0,
    "exam.panel_items": 4,
    "exam.max_new_tokens": 24,
    "exam.near_misses": 1,
    "exam.min_gain": 0.1,
    "exam.near_miss_takeover": 1.0,  # what is tested here are the commands: three lessons say little about margins
    "exam.near_miss_loss": 1.0,
    "exam.bits_per_byte": 0.5,
    "exam.multiple_choice": 1.0,
    "exam.refusals": 1.0,
    "exam.drift": 1.0,
}


class Night(NamedTuple):
    """The first night, and the command for what comes after it on the same home."""

    done: Done
    slowwave: Slowwave
    home: Path


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, slowwave_in: Callable[[Path], Slowwave]) -> Night:
    folder = tmp_path_factory.mktemp("first-night")
    slowwave = slowwave_in(folder)
    flags = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    return Night(slowwave("first-night", "--home", "home", "--json", *flags), slowwave, folder / "home")


def test_first_night_teaches_and_promotes(night: Night) -> None:
    assert night.done.status == 0, night.done.err
    data = night.done.json
    assert (data["night"], data["verdict"], data["adapter"]) == (1, "promoted", "default@n0001"), data["reasons"]
    assert len(data["questions"]) == 12
    assert len(data["lessons"]) == 3
    assert any(lesson["outcome"] == "learned" for lesson in data["lessons"])


def test_every_phase_tells_its_progress(night: Night) -> None:
    for phase in ("salience", "questions before", "dream", "train", "examine", "questions after"):
        assert phase in night.done.err


def test_report_is_one_self_contained_page(night: Night) -> None:
    page = (night.home / "nights" / "0001" / "report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert not re.search(r"""(?:src|href)\s*=\s*["']?https?:""", page)
    shown = night.slowwave("show", "1")
    assert shown.status == 0
    assert "promoted" in shown.out
    assert "not learned" in shown.out.lower()  # it says so plainly, also where it is nothing


def test_no_question_of_the_exam_was_trained_on(night: Night) -> None:
    folder = night.home / "nights" / "0001"
    scenes = [json.loads(line) for line in (folder / "scenes.jsonl").read_text(encoding="utf-8").splitlines()]
    trained = {scene["messages"][-1]["content"] for scene in scenes if scene["split"] == "train"}
    exam = json.loads((folder / "exam.json").read_text(encoding="utf-8"))
    asked = {answer["question"] for answer in exam["after"]["answers"]}
    assert trained and asked and not trained & asked


def test_a_second_first_night_only_shows_the_report(night: Night) -> None:
    again = night.slowwave("first-night", "--home", "home")
    assert again.status == 0
    assert "is over" in again.err
    assert "train" not in again.err
    assert "before the night" in again.out


def test_nights_and_next_step(night: Night) -> None:
    data = night.slowwave("nights", "--json").json
    assert [row["night"] for row in data["nights"]] == [1]
    assert data["serving"] == "default@n0001"
    assert "default@n0001" in night.slowwave("nights").out
    assert night.slowwave("--json").json["last_night"] == {"night": 1, "verdict": "promoted"}


def test_answers_name_the_version_and_differ_from_the_base(night: Night, tmp_path: Path) -> None:
    questions = tmp_path / "questions.txt"
    asked = night.done.json["questions"][:5]
    questions.write_text("".join(row["question"] + "\n" for row in asked))
    rows = night.slowwave("ask", "--file", str(questions), "--json").json["answers"]
    assert {row["adapter"] for row in rows} == {"default@n0001"}
    assert any(row["answer"] != old["before"] for row, old in zip(rows, asked, strict=True))


def test_experiences_and_lessons_after_a_night(night: Night) -> None:
    lived = night.slowwave("experiences", "list", "--json").json
    assert all(0 <= row["salience"]["total"] <= 1 for row in lived["experiences"])
    shown = night.slowwave("experiences", "show", lived["experiences"][0]["id"])
    assert "surprise" in shown.out
    lessons = night.slowwave("lessons", "list", "--status", "learned", "--json").json["lessons"]
    assert lessons
    assert {lesson["night"] for lesson in lessons} == {1}


def test_doctor_finds_everything_in_order(night: Night) -> None:
    checked = night.slowwave("doctor", "--json")
    assert checked.json["ok"], checked.json
    assert checked.status == 0


def test_damaged_adapter_is_refused_until_restored(night: Night, tmp_path: Path) -> None:
    weights = night.home / "personas" / "default" / "adapters" / "n0001" / "adapter_model.safetensors"
    shutil.copy(weights, tmp_path / "kept")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused = night.slowwave("ask", "Hi")
    assert (refused.status, refused.out) == (1, "")
    assert "is not what night 1 wrote" in refused.err
    shutil.copy(tmp_path / "kept", weights)
    assert night.slowwave("ask", "Hi").status == 0


def test_chat_records_what_is_said(night: Night) -> None:
    said = "What is the capital of Portugal?\n/correct It is Lisbon, dear.\nThank you!\n/good\n/nonsense\n"
    talked = night.slowwave("chat", stdin=said)
    assert talked.status == 0, talked.err
    assert talked.out.strip()
    lived = night.slowwave("experiences", "list", "--limit", "2", "--json").json["experiences"]
    corrected, thanked = lived
    assert corrected["outcome"] == {"rating": -1.0, "correction": "It is Lisbon, dear.", "tool_ok": None}
    assert corrected["messages"][-1] == {"role": "user", "content": "Thank you!"}
    assert (thanked["outcome"]["rating"], thanked["adapter"]) == (1.0, "default@n0001")


def test_undo_restores_the_base(night: Night) -> None:
    assert night.slowwave("undo", "--json").json == {"serving": "default@base"}
    row = night.done.json["questions"][0]
    answer = night.slowwave("ask", row["question"], "--json").json["answers"][0]
    assert answer["adapter"] == "default@base"
    again = night.slowwave("undo")
    assert again.status == 1
    assert "no night to undo" in again.err
    assert json.loads((night.home / "personas" / "default" / "serving.json").read_text())["adapter"] == "default@base"
