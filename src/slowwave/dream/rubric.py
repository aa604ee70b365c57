"""A model with a rubric, the third judge: what rules and vectors leave open it answers with yes or no.

A model of the learner's size cannot do that (docs/dreams.md), so nobody is asked unless `dream.rubric` names one that
is larger, here or behind an endpoint. What it answers with anything else stays open, and so does all after it failed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slowwave.dream.make import user
from slowwave.errors import UpstreamError
from slowwave.records import Lesson, Message, Scene

Ask = Callable[[Sequence[Sequence[Message]]], list[str]]  # greedy answers of a few tokens

_SENSIBLE = """An assistant knows this about its user: {note}

A message to the assistant:
{said}

Could a person have written this message, and would "{answer}" be a good answer to it? Say yes or no."""
_GOOD = """A message to an assistant:
{said}

A good answer: {wanted}
The answer given: {answer}

Does the answer given say what the good answer says? Other words are fine, another fact is not. Say yes or no."""


class Rubric:
    """Asks a model. `stopped` is why it is asked no more, if so."""

    def __init__(self, ask: Ask) -> None:
        self.ask, self.stopped = ask, ""

    def sensible(self, scenes: Sequence[tuple[Scene, Lesson]]) -> list[bool | None]:
        """Whether somebody could say so, and means the lesson; None where the model did not say."""
        return self._answers([_SENSIBLE.format(note=of.note, said=_said(one), answer=one.answer) for one, of in scenes])

    def good(self, answers: Sequence[tuple[Scene, str]]) -> list[bool | None]:
        """Whether each answer says what the scene's says; None where the model did not say."""
        return self._answers(
            [_GOOD.format(said=_said(one), wanted=one.answer, answer=answer) for one, answer in answers]
        )

    def _answers(self, questions: Sequence[str]) -> list[bool | None]:
        if self.stopped or not questions:
            return [None] * len(questions)
        try:
            said = self.ask([[user(question)] for question in questions])
        except UpstreamError as error:
            self.stopped = error.message
            return [None] * len(questions)
        return [_yes(answer) for answer in said]


def _said(scene: Scene) -> str:
    """The message, or the conversation up to it."""
    if len(scene.messages) == 1:
        return scene.messages[0]["content"]
    return "\n".join(f"{message['role']}: {message['content']}" for message in scene.messages)


def _yes(answer: str) -> bool | None:
    word = answer.strip().lower()
    return True if word.startswith("yes") else False if word.startswith("no") else None
