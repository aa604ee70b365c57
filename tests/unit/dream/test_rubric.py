"""The third judge: what a model with a rubric is asked, and what becomes of what it says."""

from __future__ import annotations

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


class Says:
    """Says what it is told to say to what holds a word."""

    def __init__(self, **said: str) -> None:
        self.said, self.asked = said, list[str]()

    def __call__(self, chats: Sequence[Any]) -> list[str]:
        self.asked += [chat[0]["content"] for chat in chats]
        assert all(len(chat) == 1 and chat[0]["role"] == "user" for chat in chats)
        return [
            next((answer for word, answer in self.said.items() if word in chat[0]["content"]), "Yes.") for chat in chats
        ]


def test_scenes_are_asked_about_with_the_lesson_and_the_answer(lessons: dict[str, Lesson]) -> None:
    sister = lessons["sister"]
    texts = ["What is she called?", "Odd?", "Vague?", "Clear?"]
    scenes = [scene(sister, "apply", text, sister.answer, "composed") for text in texts]
    says = Says(Odd=" no, because", Vague="Perhaps", Clear="YES")
    assert Rubric(says).sensible([(one, sister) for one in scenes]) == [True, False, None, True]
    for asked, text in zip(says.asked, texts, strict=True):
        assert sister.note in asked and text in asked and f'"{sister.answer}"' in asked


def test_answers_are_asked_about_beside_the_wanted_one(lessons: dict[str, Lesson]) -> None:
    sister = lessons["sister"]
    told = scene(sister, "apply", "And her name?", sister.answer, "composed")
    told = replace(told, messages=(user("I have a sister."), {"role": "assistant", "content": "Nice."}, *told.messages))
    says = Says(Elena="No.")
    assert Rubric(says).good([(told, "Elena"), (told, "It is Ilse")]) == [False, True]
    for line in (
        "user: I have a sister.",
        "assistant: Nice.",
        "user: And her name?",
        f"A good answer: {sister.answer}",
    ):
        assert line in says.asked[0]
    assert Rubric(says).good([]) == []


def test_one_that_fails_is_asked_no_more_and_says_nothing(lessons: dict[str, Lesson]) -> None:
    sister, calls = lessons["sister"], list[int]()

    def ask(chats: Sequence[Any]) -> list[str]:
        calls.append(len(chats))
        raise UpstreamError("It is down.")

    rubric = Rubric(ask)
    said = [(scene(sister, "apply", "Who?", sister.answer, "composed"), "Ilse")] * 3
    assert rubric.good(said) == [None] * 3 == rubric.good(said) and calls == [3] and rubric.stopped == "It is down."


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
