"""A small head that learns from few labels: the mean of all rules of one figure, or of two, each by how well it fits.

What a user likes mostly shows in one or two things: more of something than usual, or less. So every figure has a rule
for every place at which it may be cut (a decision stump), and the best rules of most figures are tried in pairs, both
of which must hold. All of them count, by their evidence (Bayesian model averaging: Hoeting et al. 1999; over stumps:
Oliver & Hand 1994). Knows neither text nor model.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

CUTS = 40  # places at most at which a figure is cut
PAIRED = 100  # figures whose best rules are tried in pairs
RECUT, PASSES = 40, 2  # best pairs whose figures are cut anew, and how often
PAIRS = 0.8  # chance beforehand that it takes two rules, as there are so many more pairs
NOISE = 0.2  # of labels that a rule has wrong: the user's noise, and what no figure says quite as the user means it
NOTHING = -8.0  # log of the odds beforehand that no figure tells anything


@dataclass(frozen=True)
class Examples:
    """N labelled answers. Those of one group were said of one thing: they are never apart in two folds."""

    figures_N_F: np.ndarray
    good_N: np.ndarray  # bool
    group_N: np.ndarray  # int

    def some(self, chosen: np.ndarray) -> Examples:
        """Those that are chosen, by places or by a mask."""
        return Examples(self.figures_N_F[chosen], self.good_N[chosen], self.group_N[chosen])


@dataclass(frozen=True)
class Rules:
    """R rules: an answer is good where a figure is above a cut, or where it is not."""

    figure_R: np.ndarray  # int
    cut_R: np.ndarray
    above_R: np.ndarray  # bool
    prior_R: np.ndarray  # log

    def says(self, figures_N_F: np.ndarray) -> np.ndarray:
        """What each rule says of each answer, bool[R, N]."""
        return (self.cut_R[:, None] < figures_N_F[:, self.figure_R].T) == self.above_R[:, None]


class Head:
    """The chance that an answer is good."""

    def __init__(self, examples: Examples) -> None:
        """Fits on examples of both labels. Raises ValueError where there is one label only."""
        good_N = examples.good_N
        if good_N.all() or not good_N.any():
            raise ValueError("a head needs good and bad examples")
        self._rules = rules(examples.figures_N_F)
        says_R_N = self._rules.says(examples.figures_N_F)
        single_R = _evidence(says_R_N, good_N) + self._rules.prior_R
        best = _best_of_each(self._rules.figure_R, single_R)[:PAIRED]
        pairs_P_2 = np.sort(best[np.stack(np.triu_indices(len(best), 1), 1)], axis=1)
        for _ in range(PASSES):  # the best cut of a figure is another beside another figure
            order = np.argsort(-self._both(pairs_P_2, says_R_N, good_N), kind="stable")
            pairs_P_2 = np.unique(np.concatenate([pairs_P_2, self._recut(pairs_P_2[order[:RECUT]])]), axis=0)
        self._pairs_P_2 = pairs_P_2
        pair_P = self._both(pairs_P_2, says_R_N, good_N)
        share = float(good_N.mean())
        nothing = NOTHING + len(good_N) * (share * log(share) + (1 - share) * log(1 - share))
        evidence = np.concatenate([[nothing], single_R + log(1 - PAIRS), pair_P + log(PAIRS)])
        weight = np.exp(evidence - evidence.max())
        self._nothing, self._weight_M = share, weight / weight.sum()

    def _both(self, pairs_P_2: np.ndarray, says_R_N: np.ndarray, good_N: np.ndarray) -> np.ndarray:
        """The evidence that both rules of each pair must hold."""
        both_P_N = says_R_N[pairs_P_2[:, 0]] & says_R_N[pairs_P_2[:, 1]]
        return np.asarray(_evidence(both_P_N, good_N) + self._rules.prior_R[pairs_P_2].sum(1) + log(2))

    def _recut(self, pairs_P_2: np.ndarray) -> np.ndarray:
        """Each pair with every other cut of its first figure, and with every other of its second."""
        found = [
            np.sort(np.c_[np.full(len(mine), kept), mine], axis=1)
            for kept, other in (*pairs_P_2, *pairs_P_2[:, ::-1])
            for mine in [np.flatnonzero(self._rules.figure_R == self._rules.figure_R[other])]
        ]
        return np.concatenate(found) if found else pairs_P_2

    def chance(self, examples: Examples) -> np.ndarray:
        """p_N in [0, 1]; the labels are not looked at."""
        says_R_N = self._rules.says(examples.figures_N_F)
        both_P_N = says_R_N[self._pairs_P_2[:, 0]] & says_R_N[self._pairs_P_2[:, 1]]
        says_M_N = np.concatenate([says_R_N, both_P_N])
        spoken_N = self._weight_M[1:] @ np.where(says_M_N, 1 - NOISE, NOISE)
        return np.asarray(self._weight_M[0] * self._nothing + spoken_N)


def rules(figures_N_F: np.ndarray) -> Rules:
    """Every figure cut between its values, both ways round; cuts near the middle are likelier beforehand."""
    figure, cut, prior = [], [], []
    for at, values_N in enumerate(figures_N_F.T):
        found = np.unique(values_N)
        if len(found) < 2:
            continue
        between = (found[1:] + found[:-1]) / 2
        if len(between) > CUTS:
            between = between[np.linspace(0, len(between) - 1, CUTS).round().astype(int)]
        share = (values_N[None] > between[:, None]).mean(1)
        weight = (share * (1 - share)) ** 2
        figure += [at] * len(between)
        cut += between.tolist()
        prior += np.log(weight / weight.sum() / 2).tolist()
    above = np.repeat([True, False], len(figure))
    priors = np.array(prior * 2) - log(max(1, figures_N_F.shape[1]))
    return Rules(np.array(figure * 2, int), np.array(cut * 2), above, priors)


def _evidence(says_M_N: np.ndarray, good_N: np.ndarray) -> np.ndarray:
    right_M = (says_M_N == good_N).sum(1)
    return right_M * log(1 - NOISE) + (len(good_N) - right_M) * log(NOISE)


def _best_of_each(figure_R: np.ndarray, evidence_R: np.ndarray) -> np.ndarray:
    """The place of each figure's best rule, the best first."""
    order = np.argsort(-evidence_R, kind="stable")
    _, first = np.unique(figure_R[order], return_index=True)
    return np.asarray(order[np.sort(first)])
