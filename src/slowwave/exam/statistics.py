"""How sure a comparison is: bootstrap intervals over questions and t intervals over seeds. Numpy only.

Questions on one lesson rise and fall together, so comparisons resample lessons, not questions (cluster bootstrap,
Cameron, Gelbach and Miller 2008): resampling questions gave intervals that were far too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slowwave.errors import ExamError

# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_CELLS = 4_000_000  # size of one block of resampling counts: 32 MB


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its interval, in the unit of the estimate."""

    value: float
    low: float
    high: float


def _finite(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).ravel()
    if array.size == 0:
        raise ExamError(f"No {name} to compare.", "Ask at least one question.")
    if not np.isfinite(array).all():
        raise ExamError(f"{name.capitalize()} hold NaN or infinity.", "The model may be damaged; examine another one.")
    return array


def bootstrap(
    values: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    seed: int = 0,
    draws: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap of the mean of `values` [N]; resamples whole `groups` [N] when given.

    Raises:
        ExamError: no values, a NaN, or groups of another length.
    """
    array = _finite(values, "values")
    labels = np.arange(array.size) if groups is None else np.asarray(groups).ravel()
    if labels.size != array.size:
        raise ExamError(f"{array.size} values but {labels.size} groups.", "Give one group per value.")
    _, member = np.unique(labels, return_inverse=True)
    sums, counts = np.bincount(member, weights=array), np.bincount(member)  # [G], [G]
    clusters = sums.size
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS // clusters)
    means = []
    for start in range(0, draws, block):
        # How often each group is drawn, [draws, G]: the same as drawing G groups with replacement.
        times = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=min(block, draws - start))
        means.append((times @ sums) / (times @ counts))
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(float(array.mean()), float(low), float(high))


def paired_bootstrap(
    before: ArrayLike,
    after: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    seed: int = 0,
    draws: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """Interval of mean(`after` - `before`), both [N] and on the same questions in the same order.

    Raises:
        ExamError: nothing to compare, different lengths, or a NaN.
    """
    old, new = _finite(before, "answers before"), _finite(after, "answers after")
    if old.size != new.size:
        raise ExamError(f"{old.size} answers before but {new.size} after.", "Ask the same questions both times.")
    return bootstrap(new - old, groups, seed=seed, draws=draws, level=level)


def interval_over_seeds(values: Sequence[float]) -> Interval:
    """95 % t interval of the mean over independent runs.

    Raises:
        ExamError: fewer than two runs, or a NaN.
    """
    array = _finite(values, "values")
    if array.size < 2:
        raise ExamError("One seed has no spread.", "Run at least two seeds.")
    quantile = _T95[array.size - 2] if array.size - 1 <= len(_T95) else 1.96 + 2.5 / (array.size - 1)
    half = quantile * float(array.std(ddof=1)) / sqrt(array.size)
    mean = float(array.mean())
    return Interval(mean, mean - half, mean + half)
