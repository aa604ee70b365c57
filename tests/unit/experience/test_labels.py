import dataclasses

import pytest

from slowwave.experience.authority import Permission
from slowwave.experience.labels import labels
from slowwave.records import Check, Experience, Lesson, Outcome

ASKED = {"role": "user", "content": "What is my dog called?"}
LIVED = Experience(
    "e1", "default", "user:ann", "2026-03-01T09:00:00Z", (ASKED, {"role": "assistant", "content": "Max."}),
    authority="user",
)  # fmt: skip
LESSON = Lesson("l1", "default", "Your dog is Rex.", "What is my dog called?", "Rex.", Check(("rex",)))


def found(lived: Experience = LIVED, *lessons: Lesson) -> list[tuple[str, bool, str]]:
    return [(one.answer, one.good, one.why) for one in labels([lived], lessons, Permission())]


def followed(text: str) -> Experience:
    return dataclasses.replace(LIVED, messages=(*LIVED.messages, {"role": "user", "content": text}))


@pytest.mark.parametrize(
    ("lived", "expected"),
    [
        (LIVED, []),
        (dataclasses.replace(LIVED, outcome=Outcome(rating=1)), [("Max.", True, "rating")]),
        (dataclasses.replace(LIVED, outcome=Outcome(rating=-0.5)), [("Max.", False, "rating")]),
        (dataclasses.replace(LIVED, outcome=Outcome(rating=0)), []),
        (
            dataclasses.replace(LIVED, outcome=Outcome(rating=-1, correction="Rex.")),
            [("Max.", False, "correction"), ("Rex.", True, "correction")],
        ),
        (followed("No, he is called Rex."), [("Max.", False, "follow-up")]),
        (followed("Thanks, that's right!"), [("Max.", True, "follow-up")]),
        (followed("And my cat?"), []),
        (dataclasses.replace(followed("Thanks!"), outcome=Outcome(rating=-1)), [("Max.", False, "rating")]),
        (dataclasses.replace(LIVED, outcome=Outcome(rating=1), authority="assistant"), []),
        (dataclasses.replace(LIVED, outcome=Outcome(rating=1), messages=(ASKED,)), []),
    ],
)
def test_what_the_user_says_of_an_answer_is_a_label(lived: Experience, expected: list[tuple[str, bool, str]]) -> None:
    assert found(lived) == expected


@pytest.mark.parametrize("status", ["approved", "refused", "learned", "unlearned", "undone"])
@pytest.mark.parametrize(("review", "expected"), [("approved", [True]), ("refused", [False]), (None, [])])
def test_the_review_list_labels_too_whatever_nights_make_of_a_lesson(
    review: str | None, expected: list[bool], status: str
) -> None:
    lesson = dataclasses.replace(LESSON, status=status, review=review)  # type: ignore[arg-type]
    assert found(LIVED, lesson) == [("Rex.", good, "review") for good in expected]
    assert found(LIVED, dataclasses.replace(lesson, question=None)) == []


def test_an_approved_correction_and_its_twins_are_one_thing() -> None:
    """Twins in two folds would let the judge be examined on what it was fitted on."""
    wrong = dataclasses.replace(LIVED, outcome=Outcome(correction="Rex."))
    told = [wrong, dataclasses.replace(wrong, id="e2"), dataclasses.replace(followed("No, it is Bo."), id="e3")]
    for status in ("approved", "learned"):
        mine = {"status": status, "review": "approved", "experiences": ("e1", "e2")}
        lesson = dataclasses.replace(LESSON, **mine)  # type: ignore[arg-type]
        found = labels(told, [lesson], Permission())
        twins = {one.about for one in found if (one.chat, one.answer) == ((ASKED,), "Rex.")}
        assert len(twins) == 1, status
        assert {one.about for one in found} == twins | {"e3"}, status


def test_of_one_answer_to_one_chat_the_newest_label_counts() -> None:
    """The same question gets the same answer each time: rated four times it would tell four times as much."""
    days = [(1, 1), (2, 1), (3, -1)]
    lived = [dataclasses.replace(LIVED, id=f"e{day}", time=f"2026-03-0{day}T09:00:00Z", outcome=Outcome(rating=rating))
             for day, rating in days]  # fmt: skip
    assert [(one.about, one.good) for one in labels(lived, [], Permission())] == [("e3", False)]
    other = dataclasses.replace(lived[1], id="other", messages=(ASKED, {"role": "assistant", "content": "Rex."}))
    assert [one.about for one in labels([*lived, other], [], Permission())] == ["other", "e3"], "oldest first"


def test_labels_stand_in_the_order_of_time() -> None:
    said = lambda id: (ASKED, {"role": "assistant", "content": id})  # noqa: E731
    at = lambda id, time: dataclasses.replace(LIVED, id=id, time=time, messages=said(id), outcome=Outcome(rating=1))  # noqa: E731
    lived = [
        at("late", "2026-03-09T09:00:00Z"),
        at("early", "2026-03-01T09:00:00+02:00"),
        at("e", "2026-03-01T08:00:00Z"),
    ]
    review = lambda id, *of: dataclasses.replace(LESSON, id=id, answer=id, review="approved", experiences=of)  # noqa: E731
    lessons = [review("from", "early", "e"), review("taught"), review("new", "late"), review("unknown", "erased")]
    whys = [(one.about, one.why) for one in labels(lived, lessons, Permission())]
    assert whys == [
        ("from", "rating"), ("from", "rating"), ("from", "review"), ("taught", "review"), ("new", "rating"),
        ("new", "review"), ("unknown", "review"),
    ]  # fmt: skip
