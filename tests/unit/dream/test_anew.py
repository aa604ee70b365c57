"""Between two rounds a lesson is worded anew: nothing that is there already, nothing that the exam asks."""

from __future__ import annotations

from typing import Any

import numpy as np

from slowwave.dream import forms
from slowwave.dream.anew import Anew
from slowwave.dream.lesson import exam_families
from slowwave.dream.make import questions, scene
from slowwave.dream.settings import DreamSettings
from slowwave.dream.wordings import Wordings
from slowwave.exam.match import normalise
from slowwave.records import Lesson
from tests.unit.dream.conftest import AHOY, DEPLOY, NOTE, SISTER, VORLAND

LESSONS = {one.id: one for one in (SISTER, DEPLOY, AHOY, VORLAND, NOTE)}
SETTINGS = DreamSettings(similarity=0.3, anew=3)


def made(engine: Any, embedder: Any, taken: set[str], each: int = 3) -> Anew:
    engine.version = None  # as it is while it trains
    nothing = np.zeros((0, 256), np.float32)
    return Anew(Wordings(engine, embedder, SETTINGS), LESSONS.values(), nothing, taken, each, seed=0)


def own(lesson: Lesson) -> Any:
    return scene(lesson, "apply", lesson.question or "", lesson.answer, "given")


def test_new_wordings_have_the_lessons_answer_and_are_new(
    engine: Any, embedder: Any, lessons: dict[str, Lesson]
) -> None:
    sister, deploy = lessons["sister"], lessons["deploy"]
    anew = made(engine, embedder, {normalise(sister.question or "")})
    first = anew.dream([own(sister), own(deploy)], 1)
    assert {one.lesson for one in first} == {sister.id, deploy.id}
    for one in first:
        lesson = sister if one.lesson == sister.id else deploy
        assert (one.answer, one.check, one.lineage, one.weight) == (
            lesson.answer, lesson.check, lesson.experiences, lesson.salience,
        )  # fmt: skip
        assert (one.kind, one.split, one.family) == ("apply", "train", "anew")
    assert len(questions(first)) == len({one.id for one in first}) == len(first)
    assert not questions(first) & questions(anew.dream([own(sister), own(deploy)], 2)), "none twice"


def test_a_habit_keeps_its_cue_and_what_is_not_known_its_name(engine: Any, embedder: Any) -> None:
    """Worded by a model they would lose it: "Can you tell me which sea this is?" would be answered "Aye aye!"."""
    ahoy = scene(AHOY, "apply", "Ahoy, which sea is this?", "Aye aye! The North Sea.", "given")
    noted = scene(NOTE, "apply", "What is my sister's name?", "It is Ilse.", "given")
    made_of = made(engine, embedder, set()).dream([own(VORLAND), ahoy, noted], 1)
    assert made_of and {one.lesson for one in made_of} == {NOTE.id}, "a note has an exchange that was dreamt"
    assert made(engine, embedder, set()).dream([own(VORLAND), ahoy], 1) == []


def test_past_the_deadline_nothing_is_worded(engine: Any, embedder: Any, lessons: dict[str, Lesson]) -> None:
    anew = made(engine, embedder, set())
    anew.deadline = -1.0
    assert anew.dream([own(lessons["sister"])], 1) == [] and engine.completions == []


def test_it_is_as_many_as_are_wanted(engine: Any, embedder: Any, lessons: dict[str, Lesson]) -> None:
    assert len(made(engine, embedder, set(), 1).dream([own(lessons["sister"])], 1)) == 1


def test_nothing_that_the_exam_asks_or_could_ask(
    engine: Any, embedder: Any, lessons: dict[str, Lesson], monkeypatch: Any
) -> None:
    sister = lessons["sister"]
    worded = {
        sister.id: [
            ("given", sister.question),
            ("thesaurus", "Who is my sister?"),
            ("thesaurus:exam", "And my sister?"),
        ]
        + [(form, f"In the form {form}: what is my sister's name?") for form in forms.FORMS]
    }
    monkeypatch.setattr(Wordings, "candidates", lambda *_: worded)
    held = "In the form hurry: what is my sister's name?"
    mine = [form for form in forms.FORMS if form not in exam_families(sister)]
    anew = made(engine, embedder, {normalise(held)}, each=9)
    said = {one.messages[0]["content"] for one in anew.dream([own(sister)], 1)}
    assert said == {f"In the form {form}: what is my sister's name?" for form in mine} - {held}
    assert len(mine) < len(forms.FORMS)
