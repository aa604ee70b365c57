"""A running mean and variance (Welford 1962), small enough to keep in the store's statistics."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Running:
    """Count, mean and sum of squared deviations. Started from a prior, it is usable from the first value on."""

    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def absorb(self, value: float) -> None:
        """Takes in one finite value."""
        self.count += 1
        before = value - self.mean
        self.mean += before / self.count
        self.squares += before * (value - self.mean)

    @property
    def deviation(self) -> float:
        """Standard deviation (of the population)."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    def z(self, value: float) -> float:
        """How many standard deviations the value lies above the mean; 0 where nothing varied yet."""
        return (value - self.mean) / self.deviation if self.deviation > 0 else 0.0

    @classmethod
    def prior(cls, count: float, mean: float, deviation: float) -> Running:
        """As if `count` values of that mean and deviation had been seen."""
        return cls(count, mean, count * deviation**2)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Running:
        """What `to_dict` gave."""
        return cls(**{name: float(value) for name, value in data.items()})

    def to_dict(self) -> dict[str, float]:
        """As JSON-ready data."""
        return asdict(self)
