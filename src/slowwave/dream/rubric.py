"""A model with a rubric, the third judge: what rules and vectors leave open it answers with yes or no.

A model of the learner's size cannot do that (docs/dreams.md), so nobody is asked unless `dream.rubric` names one that
is larger, here or behind an endpoint. What it answers with anything else stays open, and so does all after its
endpoint failed.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slowwave.dream.make import user
from slowwave.errors import UpstreamError
from slowwave.records import Lesson, Message, Scene

Ask = Callable[[Sequence[Sequence[Message]]], list[str]]  # greedy answers of a few tokens

_AT_ONCE = 32  # questions, before the clock is looked at again
_VERDICT = re.compile(r"\W*(?:(?:same|answer)\W+)?(yes|no)\b", re.IGNORECASE)

_ASKS_THE_SAME = """Does a message ask for the same thing as a question, about the same person or thing?

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
_SAYS_THE_SAME = """A good reply to "{said}" is: "{wanted}"
The reply given is: "{answer}"

Does the reply given say what the good reply says? Other words are fine, another fact is not. Say yes or no."""


@dataclass
class Judged:
    """How often a model was asked, how often it said no, how often neither yes nor no, and why no more, if so."""

    asked: int = 0
    refused: int = 0
    open: int = 0
    stopped: str = ""


class Rubric:
    """Asks a model, and counts in `told` what it said."""

    def __init__(self, ask: Ask, deadline: float = math.inf, seconds: float = 0.0, took: float = 0.0) -> None:
        """Args:
        deadline: `time.monotonic()` value after which it is asked no more.
        seconds: that it may take in all; 0 is no bound.
        took: of them before.
        """
        self.ask, self.deadline, self.seconds = ask, deadline, seconds or math.inf
        self.told, self.took = Judged(), took

    def kept(self, scenes: Sequence[Scene], lessons: Sequence[Lesson]) -> list[Scene]:
        """The scenes without the training ones that do not ask for what their lesson answers.

        A lesson's own exchange and lessons that answer no question are not judged. Where it refuses every scene of a
        lesson, it says nothing about them, and all stay.
        """
        asked = {lesson.id: lesson.question for lesson in lessons if lesson.question and lesson.kind == "answer"}
        judged = [
            at for at, one in enumerate(scenes)
            if one.kind == "apply" and one.split == "train" and one.family != "given" and one.lesson in asked
        ]  # fmt: skip
        verdicts = self._answers(
            [_ASKS_THE_SAME.format(asked=asked[scenes[at].lesson or ""], said=_said(scenes[at])) for at in judged]
        )
        refused = {at for at, well in zip(judged, verdicts, strict=True) if well is False}
        some = {scenes[at].lesson for at in judged if at not in refused}
        return [one for at, one in enumerate(scenes) if at not in refused or one.lesson not in some]

    def good(self, answers: Sequence[tuple[Scene, str]]) -> list[bool | None]:
        """Whether each answer says what the scene's says; None where the model did not say."""
        return self._answers(
            [_SAYS_THE_SAME.format(said=_said(one), wanted=one.answer, answer=answer) for one, answer in answers]
        )

    def _answers(self, questions: Sequence[str]) -> list[bool | None]:
        out: list[bool | None] = [None] * len(questions)
        for first in range(0, len(questions), _AT_ONCE):
            began = time.monotonic()
            if began > self.deadline or self.took > self.seconds:
                self.told.stopped = "its time was up"
            if self.told.stopped:
                break
            part = questions[first : first + _AT_ONCE]
            try:
                said = self.ask([[user(question)] for question in part])
            except UpstreamError as error:
                self.told.stopped = error.message
                break
            finally:
                self.took += time.monotonic() - began
            verdicts = [_yes(answer) for answer in said]
            self.told.asked += len(part)
            self.told.refused += verdicts.count(False)
            self.told.open += verdicts.count(None)
            out[first : first + len(part)] = verdicts
        return out


def _said(scene: Scene) -> str:
    """The message, or the conversation up to it."""
    if len(scene.messages) == 1:
        return scene.messages[0]["content"]
    return "\n".join(f"{message['role']}: {message['content']}" for message in scene.messages)


def _yes(answer: str) -> bool | None:
    said = _VERDICT.match(answer)
    return said.group(1).lower() == "yes" if said else None
