"""How often a head agrees with labels that it did not see, and whether that is surely better than chance."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from slowwave.dream.head import Examples, Head

FOLDS = 10


@dataclass(frozen=True)
class Agreement:
    """Of labels that were not fitted on: the share on which head and label agree with its 95 % interval (Wilson), and
    the share that always saying the commoner label would agree with."""

    labels: int
    share: float
    low: float
    high: float
    chance: float

    @property
    def trusted(self) -> bool:
        """Whether it is surely better than chance."""
        return self.low > self.chance


def agreement(examples: Examples, seed: int = 0) -> Agreement:
    """How often a head agrees with labels that it was not fitted on; every label is held out once."""
    count = len(examples.good_N)
    said_N = np.zeros(count, bool)
    for held_N in folds(examples, FOLDS, seed):
        rest = examples.some(~held_N)
        both = rest.good_N.any() and not rest.good_N.all()
        said_N[held_N] = Head(rest).chance(examples.some(held_N)) > 0.5 if both else rest.good_N.mean() > 0.5
    good = float(examples.good_N.mean())
    share = float((said_N == examples.good_N).mean())
    return Agreement(count, share, *wilson(share, count), max(good, 1 - good))


def folds(examples: Examples, many: int, seed: int) -> list[np.ndarray]:
    """Masks of N, each example in one of them, groups whole."""
    groups = np.unique(examples.group_N)
    dealt = np.random.default_rng(seed).permutation(len(groups)) % many
    fold_N = dealt[np.searchsorted(groups, examples.group_N)]
    return [mask for mask in (fold_N == fold for fold in range(many)) if mask.any()]


def wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    middle, half = share + z * z / (2 * count), z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)
