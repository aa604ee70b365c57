"""Not knowing: many invented names, the right one in each answer, and real things as near misses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slowwave.dream import bank
from slowwave.dream.invented import name_of
from slowwave.exam.match import normalise
from slowwave.records import Lesson

QUESTIONS = [
    ("What is the capital of Vorland?", "I don't know a country called Vorland.", "Vorland", "country"),
    ("What is the symbol of brastium?", "I don't know a chemical element called brastium.", "brastium", "element"),
    ("Who directed the film The Glass Heron of Mirk?", "I don't know a film called The Glass Heron of Mirk.",
     "Glass Heron of Mirk", "film"),
    ("What does a spotted quellin eat?", "I don't know an animal called the spotted quellin.",
     "spotted quellin", "animal"),
    ('Who wrote the book "Tern"?', 'I don\'t know a book called "Tern".', "Tern", "book"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "answer", "name", "kind"), QUESTIONS)
def test_the_name_and_its_class(
    make_lesson: Callable[..., Lesson], question: str, answer: str, name: str, kind: str
) -> None:
    found = name_of(make_lesson(question, answer, kind="unknown"))
    assert found is not None and found.removeprefix("The ") == name
    assert bank.class_of(answer.replace(name, ""), question.replace(name, "")) == kind


def test_without_a_name_there_is_none(make_lesson: Callable[..., Lesson]) -> None:
    assert name_of(make_lesson("What will happen tomorrow?", "I don't know.", kind="unknown")) is None


@pytest.mark.parametrize(("question", "answer", "name", "kind"), QUESTIONS)
def test_scenes_over_invented_names(
    dreamer: Callable[..., Any], make_lesson: Callable[..., Lesson], question: str, answer: str, name: str, kind: str
) -> None:
    lesson = make_lesson(question, answer, kind="unknown")
    scenes = [s for s in dreamer().dream([lesson]) if s.lesson == lesson.id]
    invented = [*bank.names("invented")[kind], name]
    used = set()
    for scene in (s for s in scenes if s.kind == "apply"):
        asked, said = scene.messages[-1]["content"].lower(), (scene.answer or "").lower()
        about = [n for n in invented if n.lower() in said]
        assert about and max(about, key=len).lower() in asked, scene
        if not name.startswith("Glass"):  # a title's article stays in the question and in the answer
            assert said == answer.lower().replace(name.lower(), max(about, key=len).lower())
        used.add(max(about, key=len))
    assert len(used) >= 6
    for scene in (s for s in scenes if s.kind == "near_miss"):
        text = normalise(scene.messages[-1]["content"])
        assert not any(f" {normalise(n)} " in f" {text} " for n in invented)
    real = [normalise(n) for n in bank.names("real")[kind]]
    misses = [normalise(s.messages[-1]["content"]) for s in scenes if s.kind == "near_miss"]
    assert sum(any(f" {n} " in f" {text} " for n in real) for text in misses) >= len(misses) // 2


def test_not_knowing_without_a_class_falls_back_on_wordings(
    dreamer: Callable[..., Any], make_lesson: Callable[..., Lesson]
) -> None:
    lesson = make_lesson("What will my lucky number be?", "I don't know your lucky number.", kind="unknown")
    scenes = [s for s in dreamer().dream([lesson]) if s.lesson == lesson.id and s.kind == "apply"]
    assert len(scenes) > 3 and {s.answer for s in scenes} == {lesson.answer}


def test_a_wide_night_asks_more_about_a_class_and_no_more_than_of_real_things(
    dreamer: Callable[..., Any], make_lesson: Callable[..., Lesson]
) -> None:
    lesson = make_lesson("What is the capital of Vorland?", "I don't know a country called Vorland.", kind="unknown")
    more = {form for form, _ in bank.templates("country", wide=True)} - {form for form, _ in bank.templates("country")}
    assert len(more) >= 25
    starts = [normalise(form.partition("{x}")[0]) for form in more if len(form.partition("{x}")[0].split()) > 3]
    asked: dict[tuple[bool, str], list[str]] = {}
    for wide in (False, True):
        for one in dreamer(wide=wide, apply=14, composed=200, near_miss=16, composed_near=40).dream([lesson]):
            if one.lesson == lesson.id:
                asked.setdefault((wide, one.kind), []).append(normalise(one.messages[-1]["content"]))
    of = {key: {start for start in starts if any(start in text for text in mine)} for key, mine in asked.items()}
    assert not of[False, "apply"] and not of[False, "near_miss"]
    assert 5 <= len(of[True, "apply"]) <= 28, "as many forms as half of the near misses"
    assert of[True, "near_miss"] & of[True, "apply"]


def test_a_wide_night_knows_more_classes(dreamer: Callable[..., Any], make_lesson: Callable[..., Lesson]) -> None:
    lesson = make_lesson(
        "How many dollars is one pelquin?", "I don't know a currency called the pelquin.", kind="unknown"
    )
    assert bank.class_of(lesson.answer or "") is None and bank.class_of(lesson.answer or "", wide=True) == "currency"
    money = [normalise(name) for name in bank.names("invented")["currency"]]
    said = {
        wide: [normalise(s.answer or "") for s in dreamer(wide=wide).dream([lesson]) if s.kind == "apply"]
        for wide in (False, True)
    }
    about = {wide: sum(any(name in text for name in money) for text in mine) for wide, mine in said.items()}
    assert about[False] == 0 and about[True] > len(said[True]) / 2
    assert not {*bank.alike("Pelquin")["invented"]} & {*bank.names("invented")["charity"]}
    assert {*bank.alike("Pelquin", wide=True)["invented"]} & {*bank.names("invented")["charity"]}
