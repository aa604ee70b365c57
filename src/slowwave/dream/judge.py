"""Whether an answer is good for the one who will hear it, as that one's corrections, ratings and approvals tell.

A small head is fitted on what can be read off them: how the answer speaks and is built (`traits`), how it lies to the
question, and how likely the model finds it. It may decide something only where it is surely better than chance at
labels that it did not see.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from slowwave.dream.agreement import Agreement, agreement
from slowwave.dream.asking import asked
from slowwave.dream.filters import Embeds
from slowwave.dream.head import Examples, Head
from slowwave.dream.traits import traits
from slowwave.records import Label, Message

FEWEST = 10  # labels of which nothing is concluded
_WIDTH = len(traits("", "")) + 3


class Scores(Protocol):
    """What the judge needs of an engine."""

    def score(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[Any]:
        """How each text is expected after its chat: `.nll`, nats of each token."""


class Judge:
    """One persona's sense of what a good answer is, from its labels."""

    def __init__(self, engine: Scores, embedder: Embeds, labels: Sequence[Label], seed: int = 0) -> None:
        """Reads and fits nothing before it is asked for something."""
        self.engine, self.embedder, self.labels, self.seed = engine, embedder, labels, seed
        self._read: dict[tuple[Any, ...], np.ndarray] = {}

    def again(self, labels: Sequence[Label]) -> Judge:
        """A judge of these labels, which reads nothing that this one has read."""
        out = Judge(self.engine, self.embedder, labels, self.seed)
        out._read = self._read
        return out

    @cached_property
    def agreement(self) -> Agreement | None:
        """With labels that were not fitted on; None where there are too few to learn from."""
        return agreement(self._labelled, self.seed) if self._enough else None

    @property
    def trusted(self) -> bool:
        """Whether it may decide anything: surely better than chance at labels that it did not see."""
        return self.agreement is not None and self.agreement.trusted

    def chance(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> np.ndarray:
        """The chance that each answer is good, p_N; 0.5 for all where there were too few labels to learn from."""
        if not self._enough or not pairs:
            return np.full(len(pairs), 0.5)
        return self._head.chance(self._examples(pairs))

    def asks(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> Generator[int, bool | None, None]:
        """Which of the pairs to ask the user about, one after another: always that of which it is least sure by then.

        Send what the user says of each: good, bad, or None for nothing.
        """
        return asked(self._labelled, self._examples(pairs))

    @property
    def _enough(self) -> bool:
        return len(self.labels) >= FEWEST and len({label.good for label in self.labels}) == 2

    @cached_property
    def _head(self) -> Head:
        return Head(self._labelled)

    @cached_property
    def _labelled(self) -> Examples:
        """What is read off the labels, and what they say."""
        numbers = {about: number for number, about in enumerate(dict.fromkeys(label.about for label in self.labels))}
        good_N = np.array([label.good for label in self.labels], bool)
        group_N = np.array([numbers[label.about] for label in self.labels], int)
        return replace(self._examples([(one.chat, one.answer) for one in self.labels]), good_N=good_N, group_N=group_N)

    def _examples(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> Examples:
        """What is read off the pairs; their labels come later."""
        keys = [(*((message["role"], message["content"]) for message in chat), answer) for chat, answer in pairs]
        new = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._read}
        if new:
            self._read.update(zip(new, self._figures(list(new.values())), strict=True))
        rows = [self._read[key] for key in keys]
        nothing = np.zeros(len(pairs), int)
        return Examples(np.stack(rows) if rows else np.zeros((0, _WIDTH)), nothing.astype(bool), nothing)

    def _figures(self, pairs: list[tuple[Sequence[Message], str]]) -> np.ndarray:
        """N pairs as float64[N, F]: traits, likeness to the question, and two likelihoods."""
        questions = [next((m["content"] for m in reversed(chat) if m["role"] == "user"), "") for chat, _ in pairs]
        answers = [answer for _, answer in pairs]
        built_N_T = np.stack([traits(question, answer) for question, answer in zip(questions, answers, strict=True)])
        beside_N = (self.embedder.embed(answers) * self.embedder.embed(questions)).sum(1)
        likely_N_2 = np.array([_nats(score) for score in self.engine.score(pairs)])
        return np.c_[built_N_T, beside_N, likely_N_2]


def _nats(score: Any) -> tuple[float, float]:
    """Mean and largest nats of a token; zeros of an answer without any."""
    return (float(score.nll.mean()), float(score.nll.max())) if len(score.nll) else (0.0, 0.0)
