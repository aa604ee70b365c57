"""What the model believed at a moment: surprise and conflict, from one batched call to it.

Knows the model only as a `Believer`: `Engine` is one, and so is any object with the same two methods.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from slowwave.experience.follow_up import correction_turn, exchange, follow_up
from slowwave.records import Experience, Message

# What is read of a long conversation. Scoring is a forward pass over it, and its last turns say what was expected.
TURNS = 6
CHARACTERS = 2000  # of each message
_OPENING = re.compile(
    r"^\W*(?:(?:no|nope|nah|wrong|incorrect|actually|sorry|well|please)\b[\s,.!:;–—-]*)+", re.IGNORECASE
)


Followed = Literal["correction", "next"]


class TokenScores(Protocol):
    """Per token, in nats. float[T]."""

    @property
    def nll(self) -> np.ndarray: ...
    @property
    def entropy(self) -> np.ndarray: ...


class Reply(Protocol):
    """One generated answer."""

    @property
    def text(self) -> str: ...


class Believer(Protocol):
    """A model that says how it expected a text, and what it would answer itself."""

    def score(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> Sequence[TokenScores]:
        """Each text as the next message of its chat."""

    def generate(
        self, chats: Sequence[Sequence[Message]], *, max_new_tokens: int, temperature: float, seed: int, n: int
    ) -> Sequence[Sequence[Reply]]:
        """`n` answers to each chat."""


@dataclass(frozen=True)
class Belief:
    """What the scores say of one experience; None where there was nothing to score."""

    excess: float | None  # nats per token: NLL of what followed minus the model's own entropy there
    nll: float | None  # nats per token of what followed
    ratio: float | None  # nats per token: log p(its answer) - log p(the corrected answer)
    followed: Followed | None  # what followed: the corrected answer itself, or the user's next turn
    corrected: bool  # whether the user corrected the answer, in either way


def beliefs(experiences: Sequence[Experience], believer: Believer) -> list[Belief]:
    """The beliefs of all experiences, in one call of `believer.score`."""
    pairs: list[tuple[tuple[Message, ...], str]] = []
    plans: list[dict[str, int]] = []
    for experience in experiences:
        plan: dict[str, int] = {}
        for name, pair in _questions(experience).items():
            plan[name] = len(pairs)
            pairs.append(pair)
        plans.append(plan)
    scores = believer.score(pairs) if pairs else []
    return [_belief({name: scores[place] for name, place in plan.items()}) for plan in plans]


def statement(correction: str) -> str:
    """A correction turn without its "No," or "Actually,": the nearest thing to an answer that it holds."""
    return _OPENING.sub("", correction).strip() or correction


def _questions(experience: Experience) -> dict[str, tuple[tuple[Message, ...], str]]:
    context, answer = exchange(experience)
    if answer is None:
        return {}
    said, turn = follow_up(experience), correction_turn(experience)
    asked = shortened(context)
    answered = (*asked, {"role": "assistant", "content": answer[:CHARACTERS]})
    found = {}
    if experience.outcome.correction:
        found["corrected"] = (asked, experience.outcome.correction[:CHARACTERS])
    elif said is not None:
        found["next"] = (answered, said[:CHARACTERS])
        if turn is not None:
            found["corrected"] = (asked, statement(turn)[:CHARACTERS])
    if "corrected" in found:
        found["own"] = (asked, answer[:CHARACTERS])
    return found


def _belief(scores: dict[str, TokenScores]) -> Belief:
    name: Followed | None = "next" if "next" in scores else "correction" if "corrected" in scores else None
    excess = nll = ratio = None
    if name is not None:
        followed = scores["next" if name == "next" else "corrected"]
        excess, nll = _mean(followed.nll - followed.entropy), _mean(followed.nll)
    if "own" in scores:
        own, corrected = _mean(scores["own"].nll), _mean(scores["corrected"].nll)
        ratio = corrected - own if own is not None and corrected is not None else None
    return Belief(excess, nll, ratio, name, "corrected" in scores)


def _mean(values_T: np.ndarray) -> float | None:
    mean = float(np.mean(values_T)) if len(values_T) else math.nan
    return mean if math.isfinite(mean) else None


def shortened(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The last turns of a conversation, each cut at its length: what a model can be asked to read."""
    system = messages[:1] if messages and messages[0]["role"] == "system" else ()
    last = [message for message in messages[-TURNS:] if message["role"] != "system"]
    return tuple({**message, "content": message["content"][:CHARACTERS]} for message in (*system, *last))
