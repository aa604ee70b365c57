"""A small head: logistic regression on a few figures, fitted on a few labels, and how far it can be trusted.

It standardises what it reads, adds the leading directions of some vectors, and chooses its penalty by what it gets
right of labels that it did not see. Knows neither text nor model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0)  # times half the squared weights, against the sum of the logistic losses
DIRECTIONS = 8  # of the vectors
FOLDS = 10


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

    def __init__(self, examples: Examples, penalty: float | None = None) -> None:
        """Fits on examples of both labels. Raises ValueError where there is one label only."""
        if examples.good_N.all() or not examples.good_N.any():
            raise ValueError("a head needs good and bad examples")
        self.penalty = penalty if penalty is not None else _penalty(examples)
        self._mean_F = examples.figures_N_F.mean(0)
        self._spread_F = examples.figures_N_F.std(0) + 1e-3
        self._middle_D = examples.vectors_N_D.mean(0)
        _, _, directions = np.linalg.svd(examples.vectors_N_D - self._middle_D, full_matrices=False)
        self._directions_D_K = directions[:DIRECTIONS].T
        read_N_J, sign_N = self._read(examples), np.where(examples.good_N, 1.0, -1.0)

        def loss(weights_J: np.ndarray) -> tuple[float, np.ndarray]:
            margin_N = sign_N * (read_N_J @ weights_J)
            free_J = np.r_[weights_J[:-1], 0.0]  # the constant is not penalised
            slope_J = read_N_J.T @ (-sign_N * expit(-margin_N)) + self.penalty * free_J
            return float(np.logaddexp(0, -margin_N).sum() + self.penalty / 2 * (free_J @ free_J)), slope_J

        self._weights_J = minimize(loss, np.zeros(read_N_J.shape[1]), jac=True, method="L-BFGS-B").x

    def chance(self, examples: Examples) -> np.ndarray:
        """p_N in [0, 1]; the labels are not looked at."""
        return expit(self._read(examples) @ self._weights_J)

    def _read(self, examples: Examples) -> np.ndarray:
        figures = np.clip((examples.figures_N_F - self._mean_F) / self._spread_F, -4, 4)
        turned = (
            (examples.vectors_N_D - self._middle_D) @ self._directions_D_K * np.sqrt(examples.vectors_N_D.shape[1]) / 4
        )
        return np.c_[figures, turned, np.ones(len(figures))]


def agreement(examples: Examples, seed: int = 0) -> Agreement:
    """How often a head agrees with labels that it was not fitted on; every label is held out once.

    Raises ValueError where there is one label only.
    """
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


def _penalty(examples: Examples) -> float:
    """The penalty under which labels that are held out are likeliest; the largest where there are too few to tell."""
    losses: Sequence[float] = [_held_out_loss(examples, penalty) for penalty in PENALTIES]
    return PENALTIES[int(np.argmin(losses))] if np.isfinite(losses).any() else PENALTIES[-1]


def _held_out_loss(examples: Examples, penalty: float) -> float:
    losses = []
    for held_N in folds(examples, 5, 1):
        rest, held = examples.some(~held_N), examples.some(held_N)
        if rest.good_N.all() or not rest.good_N.any():
            continue
        p_N = np.clip(Head(rest, penalty).chance(held), 1e-4, 1 - 1e-4)
        losses += list(-np.log(np.where(held.good_N, p_N, 1 - p_N)))
    return float(np.mean(losses)) if losses else np.inf
