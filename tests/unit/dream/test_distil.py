"""Bare notes: the question that the model finds most often, and answers that pass, else the note."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from slowwave.dream import distil
from slowwave.records import Check, Lesson, Scene


class Says:
    """Completes with the questions and answers with the replies given."""

    def __init__(self, questions: list[str], replies: list[tuple[str, str]]) -> None:
        self.questions, self.replies, self.chats = questions, replies, []  # type: ignore[var-annotated]

    def complete(self, prompts: Any, **_: Any) -> list[list[str]]:
        return [self.questions for _ in prompts]

    def generate(self, chats: Any, **_: Any) -> list[list[Any]]:
        self.chats += chats
        return [[SimpleNamespace(text=text, finish=finish) for text, finish in self.replies] for _ in chats]


def scene(lesson: Lesson, answer: str | None = None, kind: Any = "apply") -> Scene:
    return Scene("s", lesson.id, kind, ({"role": "user", "content": "Where is it grey?"},), answer, "given")


def test_the_most_frequent_question_that_keeps_the_answer_wins(lessons: dict[str, Lesson]) -> None:
    asked = [" Where is it grey?", "Is it grey in Bergen?", "Where is it grey?", "Is it grey in Bergen?"]
    asked += ["Is it grey in Bergen?", "no question", "Which sky?"]
    assert distil.question_of(Says(asked, []), lessons["note"], 0) == "Where is it grey?"


def test_a_lessons_own_question_is_kept_and_a_bare_note_always_gets_one(lessons: dict[str, Lesson]) -> None:
    engine = Says([], [])
    assert distil.question_of(engine, lessons["sister"], 0) == lessons["sister"].question
    assert distil.question_of(engine, lessons["over"], 0) is None
    assert (distil.question_of(engine, lessons["note"], 0) or "").endswith("?")


def test_the_shortest_whole_answer_that_passes_is_learned(lessons: dict[str, Lesson]) -> None:
    note = lessons["note"]
    engine = Says([], [("Over Bergen, I think.", "stop"), ("Bergen", "length"), ("Bergen.", "stop"), ("Oslo.", "stop")])
    (filled,) = distil.fill(engine, [scene(note)], [note], 0)
    assert filled.answer == "Bergen."
    assert note.note in engine.chats[0][0]["content"] and engine.chats[0][0]["role"] == "system"
    assert filled.messages == scene(note).messages  # the student sees no note


def test_where_none_passes_the_note_is_the_answer(lessons: dict[str, Lesson]) -> None:
    note = lessons["note"]
    assert distil.fill(Says([], [("Oslo.", "stop")]), [scene(note)], [note], 0)[0].answer == note.note


def test_answered_and_other_scenes_are_left_alone(make_lesson: Callable[..., Lesson]) -> None:
    lesson = make_lesson("Q?", "A.", check=Check(("a",)))
    scenes = [scene(lesson, "A."), scene(lesson, None, "near_miss")]
    engine = Says([], [("B.", "stop")])
    assert distil.fill(engine, scenes, [lesson], 0) == scenes and engine.chats == []
