"""How diverse dreams are: a dreamer that feeds on itself repeats itself, and nobody would notice from the exam.

Both figures are means over lessons of as many scenes each, so that nights of other lessons compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from slowwave.dream.filters import Embeds
from slowwave.exam.match import normalise
from slowwave.records import Scene

SCENES = 24  # of each lesson, by their ids; lessons with fewer than a third of it say nothing


@dataclass(frozen=True)
class Diversity:
    """`distinct`: share of word pairs that are no repetition (distinct-2, Li et al. 2016). `spread`: one minus the mean
    cosine between two scenes."""

    distinct: float
    spread: float

    def holds(self, earlier: Sequence[Diversity], least: float) -> bool:
        """Whether both are at least the share `least` of their means over earlier nights."""
        return not earlier or (
            self.distinct >= least * float(np.mean([one.distinct for one in earlier]))
            and self.spread >= least * float(np.mean([one.spread for one in earlier]))
        )


def diversity(scenes: Sequence[Scene], embedder: Embeds) -> Diversity | None:
    """Of the training scenes in which lessons apply; None where no lesson has enough of them."""
    of: dict[str | None, list[Scene]] = {}
    for one in sorted(scenes, key=lambda one: one.id):
        if one.taught and one.split == "train":
            of.setdefault(one.lesson, []).append(one)
    sampled = [[_said(one) for one in mine[:SCENES]] for mine in of.values() if len(mine) >= SCENES // 3]
    if not sampled:
        return None
    return Diversity(
        float(np.mean([_distinct(texts) for texts in sampled])),
        float(np.mean([_spread(embedder.embed(texts)) for texts in sampled])),
    )


def _said(scene: Scene) -> str:
    return "\n".join(message["content"] for message in scene.messages)


def _distinct(texts: Sequence[str]) -> float:
    pairs = [pair for text in texts for words in [normalise(text).split()] for pair in pairwise(words)]
    return len(set(pairs)) / max(1, len(pairs))


def _spread(vectors_N_D: np.ndarray) -> float:
    count = len(vectors_N_D)
    total = float((vectors_N_D @ vectors_N_D.T).sum()) - float((vectors_N_D**2).sum())
    return 1 - total / (count * (count - 1))
