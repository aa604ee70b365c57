"""The third judge: what a model with a rubric is asked, and what becomes of what it says."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from slowwave.dream.make import scene, user
from slowwave.dream.rubric import Judged, Rubric
from slowwave.errors import UpstreamError
from slowwave.records import Lesson


def _last(chat: Any) -> str:
    """What is asked about, after any examples."""
    return str(chat[0]["content"]).rpartition("Same: no\n\n")[2]


class Says:
    """Says what it is told to say to what holds a word."""

    def __init__(self, **said: str) -> None:
        self.said, self.asked = said, list[str]()

    def __call__(self, chats: Sequence[Any]) -> list[str]:
        self.asked += [chat[0]["content"] for chat in chats]
        assert all(len(chat) == 1 and chat[0]["role"] == "user" for chat in chats)
        return [next((answer for word, answer in self.said.items() if word in _last(chat)), "Yes.") for chat in chats]


def test_scenes_are_asked_about_beside_the_lessons_question(lessons: dict[str, Lesson]) -> None:
    """What is the user's own, the exam's, of another kind, or of a habit, which has no question, is not judged."""
    sister, ahoy = lessons["sister"], lessons["ahoy"]
    texts = ["What is she called?", "Odd?", "Vague?", "Clear?"]
    scenes = [scene(sister, "apply", text, sister.answer, "composed") for text in texts]
    others = [
        scene(sister, "apply", "Odd, but given?", sister.answer, "given"),
        scene(ahoy, "apply", "Ahoy, odd?", "A!", "cue"),
        scene(sister, "near_miss", "Odd near?", None, "near"),
        scene(sister, "apply", "Odd exam?", sister.answer, "composed", "exam"),
    ]  # fmt: skip
    says = Says(Odd=" no, because", Vague="Not sure", Clear="Same: YES")
    rubric = Rubric(says)
    assert rubric.kept([*others, *scenes], [sister, ahoy]) == [*others, scenes[0], *scenes[2:]]
    for asked, text in zip(says.asked, texts, strict=True):
        assert asked.endswith(f'Question: "{sister.question}"\nMessage: "{text}"\nSame:')
    assert rubric.told == Judged(asked=4, refused=1, open=1)


def test_one_that_refuses_all_of_a_lesson_says_nothing_of_it(lessons: dict[str, Lesson]) -> None:
    sister, deploy = lessons["sister"], lessons["deploy"]
    mine = [scene(sister, "apply", f"What? {i}", sister.answer, "composed") for i in range(3)]
    others = [scene(deploy, "apply", text, deploy.answer, "composed") for text in ("Odd?", "Fine?")]
    rubric = Rubric(Says(What="No.", Odd="No."))
    assert rubric.kept([*mine, *others], [sister, deploy]) == [*mine, others[1]] and rubric.told.refused == 4


@pytest.mark.parametrize(
    ("said", "meant"),
    [("Yes.", True), (" no, because", False), ("**Yes**", True), ("Same: no", False), ("Answer - yes", True),
     ('"No"', False), ("Not sure", None), ("None of them", None), ("Now", None), ("Note: yes", None),
     ("Yesterday", None), ("", None)],
)  # fmt: skip
def test_a_verdict_is_a_word(lessons: dict[str, Lesson], said: str, meant: bool | None) -> None:
    told = scene(lessons["sister"], "apply", "Who?", "Ilse", "composed")
    assert Rubric(Says(Who=said)).good([(told, "Ilse")]) == [meant]


def test_answers_are_asked_about_beside_the_wanted_one(lessons: dict[str, Lesson]) -> None:
    sister = lessons["sister"]
    told = scene(sister, "apply", "And her name?", sister.answer, "composed")
    told = replace(told, messages=(user("I have a sister."), {"role": "assistant", "content": "Nice."}, *told.messages))
    says = Says(Elena="No.")
    assert Rubric(says).good([(told, "Elena"), (told, "It is Ilse")]) == [False, True]
    talk = "user: I have a sister.\nassistant: Nice.\nuser: And her name?"
    asked = f'A good reply to "{talk}" is: "{sister.answer}"\nThe reply given is: "Elena"\n\nDoes the reply given say '
    assert says.asked[0].startswith(asked)
    assert Rubric(says).good([]) == []


def test_one_that_fails_is_asked_no_more_and_says_nothing(lessons: dict[str, Lesson]) -> None:
    sister, calls = lessons["sister"], list[int]()

    def ask(chats: Sequence[Any]) -> list[str]:
        calls.append(len(chats))
        raise UpstreamError("It is down.")

    rubric = Rubric(ask)
    said = [(scene(sister, "apply", "Who?", sister.answer, "composed"), "Ilse")] * 3
    assert rubric.good(said) == [None] * 3 == rubric.good(said) and calls == [3]
    assert rubric.told == Judged(stopped="It is down.")


def test_past_the_deadline_nobody_is_asked(lessons: dict[str, Lesson]) -> None:
    """And before it in parts, so that it is not passed by far."""
    sister = lessons["sister"]

    def ask(chats: Sequence[Any]) -> list[str]:
        rubric.deadline = -1.0  # it is passed while these are asked
        return ["yes"] * len(chats)

    rubric = Rubric(ask, time.monotonic() + 60)
    said = [(scene(sister, "apply", "Who?", sister.answer, "composed"), "Ilse")] * 40
    verdicts = rubric.good(said)
    assert verdicts[0] is True and verdicts[-1] is None, "the second part was not asked"
    assert rubric.told == Judged(asked=32, stopped="its time was up")


def test_its_seconds_are_bounded(lessons: dict[str, Lesson], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr("slowwave.dream.rubric.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    said = [(scene(lessons["sister"], "apply", "Who?", "Ilse", "composed"), "Ilse")] * 200
    for seconds, asked in ((2.0, 96), (0.0, 200)):  # one second each part
        rubric = Rubric(Says(), seconds=seconds)
        rubric.good(said)
        assert rubric.told.asked == asked and bool(rubric.told.stopped) == (asked < 200)
    later = Rubric(Says(), seconds=2.0, took=rubric.took)
    assert later.good(said) == [None] * 200 and later.told.asked == 0, "all was taken before"
