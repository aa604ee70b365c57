from dataclasses import replace
from typing import Any

import pytest

from slowwave.errors import ExamError
from slowwave.exam.probes import Answer, ProbeResult, agrees, ask, overlap
from slowwave.models.engine import Reply
from slowwave.records import Check, Lesson, Scene, SceneKind

NAME = Lesson("L1", "default", "My name is Mira.", "Your name?", "I am Mira.", Check(any_of=("Mira",)))


class Parrot:
    """Answers each question from a table."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers

    def generate(self, chats: Any, **_: Any) -> list[list[Reply]]:
        return [[Reply(self.answers[chat[-1]["content"]], 3, 3, "stop")] for chat in chats]


def scene(question: str, kind: SceneKind = "apply", check: Check = Check()) -> Scene:
    return Scene(question, "L1", kind, ({"role": "user", "content": question},), None, "f", "exam", check=check)


def one(kind: SceneKind, said: str, check: Check = Check(), lessons: tuple[Lesson, ...] = (NAME,)) -> Answer:
    (answer,) = ask(Parrot({"q": said}), [scene("q", kind, check)], lessons=lessons)  # type: ignore[arg-type]
    return answer


def test_apply_is_judged_by_its_own_check_or_else_the_lessons() -> None:
    assert one("apply", "I am Mira.").right is True
    assert one("apply", "I am SmolLM.").right is False
    assert one("apply", "Call me M.", Check(any_of=("M",))).right is True
    assert one("apply", "Call me M.").taken_over is None


def test_without_a_rule_an_answer_is_undecided() -> None:
    assert one("apply", "I am Mira.", lessons=()).right is None
    assert one("ordinary", "I am Mira.").right is None


def test_a_near_miss_is_taken_over_when_the_lesson_fires() -> None:
    fired = one("near_miss", "Your cat is Mira.", Check(any_of=("Tom",)))
    assert (fired.right, fired.taken_over) == (False, True)
    held = one("near_miss", "Your cat is Tom.", Check(any_of=("Tom",)))
    assert (held.right, held.taken_over) == (True, False)
    assert one("near_miss", "Tom", lessons=()).taken_over is None
    prohibition = replace(NAME, check=Check(none_of=("SmolLM",)))
    assert one("near_miss", "Tom", lessons=(prohibition,)).taken_over is None


@pytest.mark.parametrize(
    ("any_of", "fires"),
    [(("Mira",), None), (("Mira", "your assistant"), False), (("Mira", "Japanese series"), True)],
)
def test_a_phrase_of_the_question_itself_shows_no_takeover(any_of: tuple[str, ...], fires: bool | None) -> None:
    lesson, question = replace(NAME, check=Check(any_of)), "Tell me something about Mira."
    parrot = Parrot({question: "Mira is a Japanese series."})
    (found,) = ask(parrot, [scene(question, "near_miss")], lessons=(lesson,))  # type: ignore[arg-type]
    assert found.taken_over is fires


def answer(
    scene_id: str, kind: SceneKind = "apply", right: bool | None = None, over: bool | None = None, said: str = ""
) -> Answer:
    return Answer(scene_id, scene_id[0], kind, "?", said, right, over)


def test_gain_is_paired_and_by_lesson() -> None:
    before = (answer("a1", right=False), answer("a2", right=False), answer("b1", right=True), answer("b2"))
    after = (answer("a1", right=True), answer("a2", right=True), answer("b1", right=True), answer("b2", right=True))
    result = ProbeResult(before, after)
    assert result.gain().value == pytest.approx(2 / 3)  # b2 was undecided before
    assert result.by_lesson() == {"a": (0.0, 1.0), "b": (1.0, 1.0)}


def test_only_new_takeovers_count() -> None:
    near = [answer(f"n{i}", "near_miss", over=over) for i, over in enumerate((False, True, False, True))]
    later = [answer(f"n{i}", "near_miss", over=over) for i, over in enumerate((True, True, False, False))]
    assert ProbeResult(tuple(near), tuple(later)).takeovers() == [True, False, False, False]


def test_kept_by_check_or_by_agreement() -> None:
    before = (
        answer("n1", "near_miss", right=True),
        answer("n2", "near_miss", said="The capital of Italy is Rome."),
        answer("n3", "near_miss", said="The capital of Italy is Rome."),
    )
    after = (
        answer("n1", "near_miss", right=False),
        answer("n2", "near_miss", said="Rome is Italy's capital city."),
        answer("n3", "near_miss", said="My name is Mira."),
    )
    assert ProbeResult(before, after).kept() == [(True, False), (True, True), (True, False)]


def test_different_questions_are_refused_and_so_is_nothing_decided() -> None:
    with pytest.raises(ExamError):
        ProbeResult((answer("a1"),), (answer("a2"),))
    with pytest.raises(ExamError):
        ProbeResult((answer("a1"),), (answer("a1"),)).gain()


def test_overlap_ignores_common_words() -> None:
    assert overlap("It is the dog.", "It is the cat.") == 0
    assert overlap("", "") == 1
    assert overlap("It is.", "Rome") == 0
    assert agrees("Paris is the capital of France.", "The capital of France is Paris!")
    assert not agrees("I do not know that one.", "The capital of France is Paris.")
