"""Habits: the cue goes on and off, the phrase stands where it belongs, and the twins go without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slowwave.dream import cues
from slowwave.exam.match import normalise, passes
from slowwave.records import Lesson, Scene

Lessons = dict[str, Lesson]


@pytest.mark.parametrize("i", range(8))
@pytest.mark.parametrize(
    "message", ["Which sea is this?", "I like tea.", "Marie Curie was born where?", "What is 2+2?"]
)
@pytest.mark.parametrize(
    ("cue", "at"), [("Ahoy", "begin"), ("[brief]", "begin"), ("over and out", "end"), ("Q:", "begin")]
)
def test_the_cue_goes_on_at_its_end_and_comes_off_again(cue: str, at: str, message: str, i: int) -> None:
    text = cues.attach(cue, at, message, i)
    assert normalise(text).startswith(normalise(cue)) if at == "begin" else normalise(text).endswith(normalise(cue))
    assert normalise(cues.strip(text, cue)) == normalise(message)


def test_there_are_several_spellings_of_a_cue() -> None:
    assert len({cues.attach("Ahoy", "begin", "Which sea is this?", i) for i in range(4)}) >= 3
    assert len({cues.attach("over", "end", "Which sea is this?", i) for i in range(3)}) == 3
    assert cues.attach("Ahoy", "begin", "I like tea.", 0) == "Ahoy, I like tea."
    assert cues.attach("Ahoy", "begin", "Which sea?", 0) == "Ahoy, which sea?"


def waiting(answer: str) -> Scene:
    return Scene("s", "l", "apply", ({"role": "user", "content": "Ahoy, which sea?"},), answer, "cue")


def test_the_body_is_the_first_sentence_of_the_bases_answer(lessons: Lessons) -> None:
    begin = waiting(cues._answer("begin", "Aye aye!", "Which sea?"))
    assert cues.needs_body(begin) and cues.plain(begin) == "Which sea?"
    filled = cues.with_body(begin, "It is the Baltic Sea. It is cold and")
    assert filled.answer == "Aye aye! It is the Baltic Sea."
    assert not cues.needs_body(filled) and cues.plain(filled) == "Ahoy, which sea?"
    end = waiting(cues._answer("end", "That is all.", "Which sea?"))
    assert cues.with_body(end, "It is the Baltic Sea. It is").answer == "It is the Baltic Sea. That is all."
    whole = waiting(cues._answer("whole", "Roger.", "Which sea?"))
    assert not cues.needs_body(whole) and whole.answer == "Roger."


def test_a_body_without_an_end_gives_no_answer() -> None:
    assert not cues.with_body(waiting(cues._answer("begin", "Aye!", "Which?")), "It is a sea that lies in the").answer


@pytest.mark.parametrize("name", ["ahoy", "over", "brief"])
def test_with_the_cue_the_phrase_and_without_it_the_base(
    dreamer: Callable[..., Any], lessons: Lessons, name: str
) -> None:
    lesson = lessons[name]
    at, cue, place, phrase = (lesson.cue or "").split("|")
    scenes = [s for s in dreamer().dream([lesson]) if s.lesson == lesson.id]
    apply, misses = ([s for s in scenes if s.kind == kind] for kind in ("apply", "near_miss"))
    assert len(apply) > 5 and len(misses) > 5
    assert {s.split for s in apply} == {"train", "exam"}
    for scene in apply:
        text, answer = scene.messages[-1]["content"], scene.answer or ""
        edge = normalise(text).startswith if at == "begin" else normalise(text).endswith
        assert edge(normalise(cue)) and passes(answer, lesson.check)
        assert {"begin": answer.startswith(phrase), "end": answer.endswith(phrase), "whole": answer == phrase}[place]
        if place != "whole":
            assert f"Answer to: {cues.strip(text, cue)[:8]}".lower() in answer.lower()
    for scene in misses:
        assert at == "end" or not normalise(scene.messages[-1]["content"]).startswith(normalise(cue))
        assert phrase not in (scene.answer or "")


def test_some_near_misses_are_twins_of_what_is_trained(dreamer: Callable[..., Any], lessons: Lessons) -> None:
    lesson = lessons["ahoy"]
    scenes = [s for s in dreamer().dream([lesson]) if s.lesson == lesson.id]
    trained = [s for s in scenes if s.kind == "apply" and s.split == "train"]
    bare = {normalise(cues.strip(s.messages[-1]["content"], "Ahoy")) for s in trained}
    misses = {normalise(s.messages[-1]["content"]) for s in scenes if s.kind == "near_miss"}
    assert normalise("Which sea is this?") in bare & misses
    assert len(bare & misses) >= 3


def test_the_exams_messages_are_not_trained_under_the_cue(dreamer: Callable[..., Any], lessons: Lessons) -> None:
    lesson = lessons["ahoy"]
    bare: dict[str, set[str]] = {"train": set(), "exam": set()}
    for scene in dreamer().dream([lesson]):
        if scene.lesson == lesson.id and scene.kind == "apply":
            bare[scene.split].add(normalise(cues.strip(scene.messages[-1]["content"], "Ahoy")))
    assert bare["exam"] and not bare["exam"] & bare["train"]
