"""What the dreamer asks whom, and that nothing is taught twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from slowwave.dream.dreamer import Dreamer, once
from slowwave.dream.make import scene
from slowwave.dream.settings import DreamSettings
from slowwave.records import Lesson, Scene
from tests.unit.dream.conftest import Echo, Hashes

SETTINGS = DreamSettings(ordinary=12, prose=2, watch=3)
SHORT, LONG = "Bergen.", "It is Bergen, I believe."


class Told(Echo):
    """Answers whoever is told something in two ways; reads every text alike."""

    reads = 0

    def generate(self, chats: Sequence[Any], **options: Any) -> list[list[Any]]:
        said = super().generate(chats, **options)
        told = [SimpleNamespace(text=text, finish="stop") for text in (SHORT, LONG)]
        return [told if chat[0]["role"] == "system" else row for chat, row in zip(chats, said, strict=True)]

    def score(self, pairs: Sequence[Any]) -> list[Any]:
        self.reads += len(pairs)
        return [SimpleNamespace(nll=np.ones(1)) for _ in pairs]


class Longer:
    """A judge that likes what is long."""

    def __init__(self, trusted: bool) -> None:
        self.trusted = trusted

    def chance(self, pairs: Sequence[tuple[Any, str]]) -> np.ndarray:
        return np.array([float(len(answer)) for _, answer in pairs])


def test_a_trusted_judge_chooses_what_a_bare_note_is_answered_with(lessons: dict[str, Lesson]) -> None:
    def answers(judge: Longer | None) -> set[str | None]:
        dreamer = Dreamer(Told(), Hashes(), SETTINGS, judge)  # type: ignore[arg-type]
        return {one.answer for one in dreamer.dream([lessons["note"]]) if one.kind == "apply"}

    assert answers(Longer(trusted=True)) == {LONG}
    assert answers(Longer(trusted=False)) == answers(None) == {SHORT}


def test_the_judge_of_scenes_is_asked_where_the_settings_want_fewer(lessons: dict[str, Lesson]) -> None:
    def taught(sensible: float) -> tuple[int, int]:
        engine = Told()
        scenes = Dreamer(engine, Hashes(), replace(SETTINGS, sensible=sensible)).dream([lessons["deploy"]])
        return sum(one.taught and one.split == "train" for one in scenes), engine.reads

    (every, unread), (half, read) = taught(1.0), taught(0.5)
    assert unread == 0 and read > 0
    assert half <= every // 2 + 1


def said(scenes: Sequence[Scene]) -> list[tuple[str | None, str]]:
    return [(one.lesson, one.messages[-1]["content"]) for one in scenes]


def test_what_is_taught_as_one_lesson_is_not_taught_as_another(make_lesson: Callable[..., Lesson]) -> None:
    """However it is typed; the exam's and the near misses of another stay."""
    first, second = make_lesson("Where is it?", "Here."), make_lesson("Whose is it?", "Mine.")
    taught = lambda lesson, text, family="composed": scene(lesson, "apply", text, lesson.answer, family)  # noqa: E731
    kept = [taught(first, "So where is it?"), taught(first, "so, where is it")]
    near = scene(second, "near_miss", "So where is it?", None, "near")
    exam = scene(second, "apply", "So where is it?", second.answer, "frame", "exam")
    found = once([*kept, taught(second, "So, where is it?"), near, exam, taught(second, "Who owns it?")])
    assert said(found) == said([*kept, near, exam, taught(second, "Who owns it?")])


def test_a_lessons_own_exchange_goes_before_another_lessons_wording(make_lesson: Callable[..., Lesson]) -> None:
    first, second = make_lesson("Where is it?", "Here."), make_lesson("Whose is it?", "Mine.")
    given = scene(second, "apply", "Whose is it?", second.answer, "given")
    found = once([scene(first, "apply", "Whose is it?", first.answer, "composed"), given])
    assert found == [given]


def test_of_two_answers_to_one_question_one_is_taught_tonight(make_lesson: Callable[..., Lesson]) -> None:
    asked = [make_lesson("Which tram do I take to work?", "Tram 5."), make_lesson("which tram do i take to work", "7.")]
    scenes = Dreamer(Told(), Hashes(), SETTINGS).dream(asked)
    given = [one for one in scenes if one.family == "given"]
    assert [one.lesson for one in given] == [asked[0].id]
