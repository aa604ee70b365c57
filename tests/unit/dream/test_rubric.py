"""The third judge: what a model with a rubric is asked, and what becomes of what it says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from slowwave.dream.make import scene, user
from slowwave.dream.rubric import Rubric
from slowwave.dream.sense import sensible
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
    """A habit has none, so nothing is asked about it."""
    sister, ahoy = lessons["sister"], lessons["ahoy"]
    texts = ["What is she called?", "Odd?", "Vague?", "Clear?"]
    scenes = [scene(sister, "apply", text, sister.answer, "composed") for text in texts]
    says = Says(Odd=" no, because", Vague="Perhaps", Clear="YES")
    habit = scene(ahoy, "apply", "Ahoy, who?", "Aye!", "cue")
    judged = [(habit, ahoy), *((one, sister) for one in scenes)]
    assert Rubric(says).sensible(judged) == [None, True, False, None, True]
    for asked, text in zip(says.asked, texts, strict=True):
        assert asked.endswith(f'Question: "{sister.question}"\nMessage: "{text}"\nSame:')


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
    assert rubric.good(said) == [None] * 3 == rubric.good(said) and calls == [3] and rubric.stopped == "It is down."


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
    assert rubric.stopped == "the night's time was up"


@pytest.mark.parametrize("keep", [1.0, 0.5])
def test_what_it_refuses_is_dropped_after_rules_and_vectors(
    lessons: dict[str, Lesson], embedder: Any, keep: float
) -> None:
    class Reader:
        def score(self, pairs: Any) -> list[Any]:
            return [type("Score", (), {"nll": np.ones(1)}) for _ in pairs]

        def continuation_logprob(self, pairs: Any) -> list[float]:
            return [-1.0 for _ in pairs]

    sister = lessons["sister"]
    texts = ["What is she called?", "Garbled sister name odd", "My sister Ilse, what is her name?"]
    scenes = [scene(sister, "apply", text, sister.answer, "composed") for text in texts]
    others = [scene(sister, "apply", sister.question or "", sister.answer, "given"),
              scene(sister, "near_miss", "Garbled", None, "near")]  # fmt: skip
    says = Says(Garbled="No")
    reader: Any = Reader() if keep < 1 else None  # with all that is not refused kept, nothing is read
    out = sensible(reader, embedder, [*others, *scenes], [sister], keep, Rubric(says))
    assert out == [*others, scenes[0]]
    assert len(says.asked) == 2, "what gives the answer away is dropped by rule, what is given is not judged"
