"""What a round of a night's loop takes: which scenes, how noisily, and whether a lesson still needs any.

Dream, answer several times, judge, keep, train, and again with the model as it is by then. Knows no training; who
conducts the rounds is `night.rounds`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from slowwave.records import Scene

HOT, COOL = 1.0, 0.6  # temperature of what is sampled
LEAST = 0.1  # the last round's share of the first's learning rate: 1e-4 to 1e-5


@dataclass(frozen=True)
class Noise:
    """How noisy a round is. One number couples all: broad first, nuances last."""

    temperature: float  # of the answers that are sampled
    rate: float  # share of the night's learning rate
    near: float  # share of the night's near misses that fall to this round


def noise(number: int, rounds: int, *, steady: bool = False) -> Noise:
    """The noise of round `number` of `rounds`, from 0; `steady`: the same in each, as a schedule is compared with."""
    if rounds < 2 or steady:
        return Noise(HOT, 1.0, 1 / rounds)
    at = number / (rounds - 1)
    return Noise(HOT + (COOL - HOT) * at, LEAST**at, 2 * (number + 1) / (rounds * (rounds + 1)))


@dataclass(frozen=True)
class Sampled:
    """A scene, answers that the model as it is gave to it, and which of them were good."""

    scene: Scene
    answers: tuple[str, ...]
    good: tuple[bool, ...]

    @property
    def share(self) -> float:
        """Of good answers."""
        return sum(self.good) / max(1, len(self.good))


def edge(sampled: Sequence[Sampled], count: int, rng: np.random.Generator) -> list[Sampled]:
    """The `count` at the edge of capability: neither always nor never answered well, the nearest to one half first;
    then what is never, and what is always answered well. Among equals by chance."""
    order = [sampled[i] for i in rng.permutation(len(sampled))]
    order.sort(key=lambda one: (abs(one.share - 0.5), one.share))
    return order[:count]


def cloned(sampled: Sequence[Sampled]) -> list[Scene]:
    """Behavioural cloning of the wanted answer: the user's, or the base's that was filtered when the scene was dreamt
    (`distil.fill`). The sampled answers only tell which scenes are worth it.
    """
    return [one.scene for one in sampled]


def reinforced(sampled: Sequence[Sampled]) -> list[Scene]:
    """REINFORCE with a baseline (Williams 1992; leave-one-out, Kool et al. 2019): every sampled answer is learned or
    unlearned by how much better it was than the scene's other answers. What all or none did well has no gradient."""
    out = []
    for one in sampled:
        others = max(1, len(one.good) - 1)
        for answer, well in zip(one.answers, one.good, strict=True):
            advantage = float(well) - (sum(one.good) - float(well)) / others
            if advantage and answer:
                out.append(replace(one.scene, answer=answer, weight=one.scene.weight * advantage))
    return out


def novel(confidence: float, rate: float) -> int:
    """How many novel scenes must all be answered well, to say with this confidence that the old reflex fires on less
    than `rate` of them: (1 - rate) ** N <= 1 - confidence."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - rate))


def converged(sampled: Sequence[Sampled], least: int) -> set[str]:
    """The lessons whose old reflex fired on none of `least` or more scenes, of those that ask for one lesson."""
    of: dict[str, list[Sampled]] = {}
    for one in sampled:
        if one.scene.lesson is not None and one.scene.kind == "apply":
            of.setdefault(one.scene.lesson, []).append(one)
    return {lesson for lesson, mine in of.items() if len(mine) >= least and all(all(one.good) for one in mine)}
