"""Every verdict from two exams, each for its own reason."""

import math
from dataclasses import replace

import pytest

from slowwave.exam.examine import ExamResult
from slowwave.exam.probes import Answer
from slowwave.exam.retention import Retention
from slowwave.exam.settings import ExamSettings
from slowwave.night.gate import decide
from slowwave.records import Check, Lesson

LESSONS = [Lesson(f"l{i}", "default", f"note {i}", "q", "a", Check(("a",))) for i in range(4)]
WELL = Retention(1.0, 1.0, (True,) * 28 + (False,) * 28, 0.0, (True,) * 12, 1.0)


def exam(right=False, near=(True, False), earlier=True, retention=WELL, panel="p", lessons=4, asked=3):
    answers = []
    for i in range(lessons):
        answers += [Answer(f"a{i}{j}", f"l{i}", "apply", "q", "a", right, None) for j in range(asked)]
        answers += [Answer(f"n{i}{j}", f"l{i}", "near_miss", "q", "a", *near) for j in range(2)]
    old = tuple(Answer(f"e{i}", "old", "apply", "q", "a", earlier, None) for i in range(12))
    return ExamResult(None, tuple(answers), old, retention, panel, 1.0)


def failed(decision):
    return {reason.figure for reason in decision.reasons if not reason.ok}


def test_learned_and_nothing_lost_is_promoted():
    decision = decide(exam(), exam(right=True), LESSONS, ExamSettings())
    assert decision.verdict == "promoted" and {row.outcome for row in decision.lessons} == {"learned"}


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (exam(right=False), {"lessons learned", "gain"}),
        (exam(right=True, near=(True, True)), {"near misses taken over", "lessons learned"}),
        (exam(right=True, near=(False, False)), {"near misses lost"}),
        (exam(right=True, earlier=False), {"earlier lessons lost"}),
        (exam(right=True, retention=replace(WELL, drift=0.051)), {"drift"}),
        (exam(right=True, retention=replace(WELL, bits_per_byte=1.011)), {"bits per byte"}),
        (exam(right=True, retention=replace(WELL, multiple_choice=(True,) * 24 + (False,) * 32)), {"multiple choice"}),
        (exam(right=True, retention=replace(WELL, refusals=(False,) * 2 + (True,) * 10)), {"refusals"}),
    ],
)
def test_each_margin_rejects_alone(after, why):
    decision = decide(exam(), after, LESSONS, ExamSettings())
    assert decision.verdict == "rejected" and failed(decision) == why
    assert decision.nothing_lost == (why == {"lessons learned", "gain"})


def test_what_the_answers_reject_needs_no_panel():
    decision = decide(exam(), replace(exam(right=True, near=(True, True)), retention=None), LESSONS, ExamSettings())
    assert decision.verdict == "rejected" and "near misses taken over" in failed(decision)
    assert not decision.nothing_lost and "drift" not in {reason.figure for reason in decision.reasons}


def mutilated(part, value):
    """An exam whose retention could not even be built: the checks of its own room are passed over."""
    result = exam(right=True)
    broken = replace(result.retention)
    object.__setattr__(broken, part, value)
    return replace(result, retention=broken)


@pytest.mark.parametrize(
    "after",
    [
        exam(right=True, panel=""),
        exam(right=True, panel="another"),
        exam(right=None),  # nothing could be judged
        exam(right=True, lessons=0),  # no question at all
        exam(right=True, asked=2),  # a result is missing
        mutilated("drift", math.nan),
        mutilated("bits_per_byte", math.inf),
        mutilated("bits_per_byte_base", 0.0),
        mutilated("multiple_choice", ()),
        mutilated("refusals", ()),
        mutilated("multiple_choice", (True,) * 5),
        replace(exam(right=True), earlier=()),
        replace(exam(right=True), retention=None),
        replace(exam(right=False), retention=None),  # nothing is lost by its answers
    ],
)
def test_what_cannot_be_examined_could_not_run(after):
    before = exam(lessons=len({a.lesson for a in after.answers}) or 0)
    decision = decide(before, after, LESSONS, ExamSettings())
    assert decision.verdict == "could not run" and len(decision.reasons) == 1
    assert "could not be examined" in decision.reasons[0].text


def test_an_empty_panel_on_both_sides_could_not_run_either():
    before, after = exam(panel=""), exam(right=True, panel="")
    assert decide(before, after, LESSONS, ExamSettings()).verdict == "could not run"


def test_one_lesson_may_fail_and_the_rest_be_promoted():
    after = exam(right=True)
    answers = tuple(replace(a, right=False) if a.lesson == "l0" and a.kind == "apply" else a for a in after.answers)
    decision = decide(exam(), replace(after, answers=answers), LESSONS, ExamSettings())
    assert decision.verdict == "promoted"
    assert [row.outcome for row in decision.lessons] == ["not learned", "learned", "learned", "learned"]


def test_a_lesson_without_questions_is_not_learned():
    extra = Lesson("l9", "default", "note", "q", "a", Check(("a",)))
    decision = decide(exam(), exam(right=True), [*LESSONS, extra], ExamSettings())
    assert decision.lessons[-1].outcome == "not learned" and decision.lessons[-1].after is None


def test_what_was_known_before_is_told_apart_from_what_was_learned():
    decision = decide(exam(right=True), exam(right=True), LESSONS, ExamSettings())
    assert decision.verdict == "rejected" and {row.outcome for row in decision.lessons} == {"known"}


def test_a_lesson_that_spreads_is_harmful():
    after = exam(right=True)
    answers = tuple(replace(a, taken_over=True) if a.scene_id == "n00" else a for a in after.answers)
    decision = decide(exam(), replace(after, answers=answers), LESSONS, ExamSettings())
    assert decision.lessons[0].outcome == "harmful" and failed(decision) == {"near misses taken over"}


def test_a_single_lost_answer_of_few_is_no_evidence():
    after = exam(right=True, lessons=1)
    answers = tuple(replace(a, right=False) if a.scene_id == "n00" else a for a in after.answers)
    assert decide(exam(lessons=1), replace(after, answers=answers), LESSONS[:1], ExamSettings()).verdict == "promoted"


def test_every_reason_is_a_sentence_with_its_figure():
    for reason in decide(exam(), exam(right=True), LESSONS, ExamSettings()).reasons:
        assert reason.text.endswith((".", "lost.", "one.")) and reason.value is not None and reason.bound is not None
