"""A model with a rubric, the third judge: what rules and vectors leave open it answers with yes or no.

A model of the learner's size cannot do that (docs/dreams.md), so nobody is asked unless `dream.rubric` names one that
is larger, here or behind an endpoint. What it answers with anything else stays open, and so does all after it failed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from slowwave.dream.make import user
from slowwave.errors import UpstreamError
from slowwave.records import Lesson, Message, Scene

Ask = Callable[[Sequence[Sequence[Message]]], list[str]]  # greedy answers of a few tokens

_AT_ONCE = 32  # questions, before the clock is looked at again

_SENSIBLE = """Does a message ask for the same thing as a question, about the same person or thing?

Question: "Where is my bike parked?"
Message: "I have to cycle home. In which place did I leave it?"
Same: yes

Question: "Where is my bike parked?"
Message: "Where did my brother leave his bike?"
Same: no

Question: "How do we book the meeting room?"
Message: "Ten guests are coming at noon. What do I do to get the room?"
Same: yes

Question: "How do we book the meeting room?"
Message: "How long is a meeting allowed to last?"
Same: no

Question: "{asked}"
Message: "{said}"
Same:"""
_GOOD = """A good reply to "{said}" is: "{wanted}"
The reply given is: "{answer}"

Does the reply given say what the good reply says? Other words are fine, another fact is not. Say yes or no."""


class Rubric:
    """Asks a model. `stopped` is why it is asked no more, if so."""

    def __init__(self, ask: Ask, deadline: float = math.inf) -> None:
        """Args:
        deadline: `time.monotonic()` value after which it is asked no more.
        """
        self.ask, self.deadline, self.stopped = ask, deadline, ""

    def sensible(self, scenes: Sequence[tuple[Scene, Lesson]]) -> list[bool | None]:
        """Whether each scene asks for what its lesson answers; None where the model did not say, or the lesson answers
        no question."""
        asked = [at for at, (_, of) in enumerate(scenes) if of.question and of.kind == "answer"]
        out: list[bool | None] = [None] * len(scenes)
        questions = [_SENSIBLE.format(asked=scenes[at][1].question, said=_said(scenes[at][0])) for at in asked]
        for at, well in zip(asked, self._answers(questions), strict=True):
            out[at] = well
        return out

    def good(self, answers: Sequence[tuple[Scene, str]]) -> list[bool | None]:
        """Whether each answer says what the scene's says; None where the model did not say."""
        return self._answers(
            [_GOOD.format(said=_said(one), wanted=one.answer, answer=answer) for one, answer in answers]
        )

    def _answers(self, questions: Sequence[str]) -> list[bool | None]:
        out: list[bool | None] = [None] * len(questions)
        for first in range(0, len(questions), _AT_ONCE):
            if time.monotonic() > self.deadline:
                self.stopped = "the night's time was up"
            if self.stopped:
                break
            part = questions[first : first + _AT_ONCE]
            try:
                said = self.ask([[user(question)] for question in part])
            except UpstreamError as error:
                self.stopped = error.message
                break
            out[first : first + len(part)] = [_yes(answer) for answer in said]
        return out


def _said(scene: Scene) -> str:
    """The message, or the conversation up to it."""
    if len(scene.messages) == 1:
        return scene.messages[0]["content"]
    return "\n".join(f"{message['role']}: {message['content']}" for message in scene.messages)


def _yes(answer: str) -> bool | None:
    word = answer.strip().lower()
    return True if word.startswith("yes") else False if word.startswith("no") else None
