"""A small head that learns from few labels: the mean of many small logistic regressions, each on one figure or on two.

What a user likes mostly shows in one or two things, and fifty labels cannot tell thirty slopes apart. So every figure,
and every pair of those that tell most, has a regression of its own, and they count by their evidence (Bayesian model
averaging with BIC: Raftery 1995; Hoeting et al. 1999). Figures are read by rank: how they are spread does not matter.
Knows neither text nor model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np
from scipy.special import expit, ndtri

DIRECTIONS = 8  # of the vectors, as figures
PAIRED = 12  # figures of most evidence, of which all pairs are tried
SPREAD = 3.0  # standard deviation of a slope before anything is known, in normal scores
FOLDS = 10
_STEPS = 12  # of Newton's method: it has converged by then


@dataclass(frozen=True)
class Examples:
    """N labelled answers. Those of one group were said of one thing: they are never apart in two folds."""

    figures_N_F: np.ndarray
    vectors_N_D: np.ndarray
    good_N: np.ndarray  # bool
    group_N: np.ndarray  # int

    def some(self, chosen: np.ndarray) -> Examples:
        """Those that are chosen, by places or by a mask."""
        return Examples(self.figures_N_F[chosen], self.vectors_N_D[chosen], self.good_N[chosen], self.group_N[chosen])


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


class Head:
    """The chance that an answer is good."""

    def __init__(self, examples: Examples) -> None:
        """Fits on examples of both labels. Raises ValueError where there is one label only."""
        if examples.good_N.all() or not examples.good_N.any():
            raise ValueError("a head needs good and bad examples")
        self._middle_D = examples.vectors_N_D.mean(0)
        _, _, directions = np.linalg.svd(examples.vectors_N_D - self._middle_D, full_matrices=False)
        self._directions_D_K = directions[:DIRECTIONS].T
        raw_N_J = self._raw(examples)
        self._sorted_N_J = np.sort(raw_N_J, axis=0)
        scores_N_J, good_N = self._scores(raw_N_J), examples.good_N.astype(float)
        every = np.arange(scores_N_J.shape[1])
        nothing = np.full((1, 2), -1)
        singles = np.c_[every, np.full(len(every), -1)]
        best = every[np.argsort(-fit(scores_N_J, singles, good_N)[1], kind="stable")[:PAIRED]]
        pairs = np.array(list(combinations(sorted(best.tolist()), 2)), int).reshape(-1, 2)
        self._models_M_2 = np.concatenate([nothing, singles, pairs])
        self._weights_M_3, evidence_M = fit(scores_N_J, self._models_M_2, good_N)
        sizes = np.repeat([1, len(singles), max(1, len(pairs))], [1, len(singles), len(pairs)])
        evidence_M = evidence_M - np.log(sizes)  # nothing, one figure and two are equally likely beforehand
        share_M = np.exp(evidence_M - evidence_M.max())
        self._share_M = share_M / share_M.sum()

    def chance(self, examples: Examples) -> np.ndarray:
        """p_N in [0, 1]; the labels are not looked at."""
        read_M_N_3 = _read(self._scores(self._raw(examples)), self._models_M_2)
        return self._share_M @ expit(np.einsum("mnk,mk->mn", read_M_N_3, self._weights_M_3))

    def _raw(self, examples: Examples) -> np.ndarray:
        return np.c_[examples.figures_N_F, (examples.vectors_N_D - self._middle_D) @ self._directions_D_K]

    def _scores(self, raw_N_J: np.ndarray) -> np.ndarray:
        """Normal scores: where each figure stands among those that were fitted on, equal ones in their middle."""
        count = len(self._sorted_N_J)
        rank_N_J = np.stack([
            (np.searchsorted(fitted, new, "left") + np.searchsorted(fitted, new, "right")) / 2
            for fitted, new in zip(self._sorted_N_J.T, raw_N_J.T, strict=True)
        ], axis=1)  # fmt: skip
        return ndtri((rank_N_J + 0.5) / (count + 1))


def fit(scores_N_J: np.ndarray, models_M_2: np.ndarray, good_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M logistic regressions at once, each on two columns (-1: none) and a constant.

    Returns:
        weights_M_3 and evidence_M: the log of the likelihood at the weights, less half the slopes' number times log N.
    """
    read_M_N_3 = _read(scores_N_J, models_M_2)
    weights_M_3 = np.zeros((len(models_M_2), 3))
    prior = np.diag([1e-2, SPREAD**-2, SPREAD**-2])
    for _ in range(_STEPS):
        p_M_N = expit(np.einsum("mnk,mk->mn", read_M_N_3, weights_M_3))
        slope_M_3 = np.einsum("mnk,mn->mk", read_M_N_3, good_N - p_M_N) - weights_M_3 @ prior
        curve_M_3_3 = np.einsum("mnk,mn,mnl->mkl", read_M_N_3, p_M_N * (1 - p_M_N), read_M_N_3) + prior
        weights_M_3 = weights_M_3 + np.linalg.solve(curve_M_3_3, slope_M_3[..., None])[..., 0]
    margin_M_N = np.where(good_N > 0.5, 1, -1) * np.einsum("mnk,mk->mn", read_M_N_3, weights_M_3)
    likelihood_M = -np.logaddexp(0, -margin_M_N).sum(1)
    return weights_M_3, likelihood_M - 0.5 * (models_M_2 >= 0).sum(1) * np.log(len(good_N))


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


def _read(scores_N_J: np.ndarray, models_M_2: np.ndarray) -> np.ndarray:
    """What each model reads: a constant and its two columns, zeros for none. float64[M, N, 3]."""
    with_none = np.c_[scores_N_J, np.zeros(len(scores_N_J))]
    columns_M_N_2 = with_none[:, models_M_2].transpose(1, 0, 2)
    return np.concatenate([np.ones((*columns_M_N_2.shape[:2], 1)), columns_M_N_2], axis=2)
