"""What a round of a night's loop takes: which scenes, how noisily, and whether a lesson still needs any.

Dream, answer several times, judge, keep, train, and again with the model as it is by then. Knows no training; who
conducts the rounds is `night.rounds`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from slowwave.dream.distil import best
from slowwave.records import Scene

if TYPE_CHECKING:
    from slowwave.dream.distil import Likes

HOT, COOL = 1.0, 0.6  # temperature of what is sampled
FEWEST, MOST = 0.5, 2.0  # of what a lesson would get in a round, however well or badly it is answered
WHOLE = 0.5  # of the wanted answer's words: one with fewer leaves something out that no rule asks for
SPARED = 0.05  # share of bad answers from which the need of a lesson counts


@dataclass(frozen=True)
class Noise:
    """How noisy a round is. One number couples all: broad first, nuances last."""

    temperature: float  # of the answers that are sampled
    anneal: bool  # one fall of the learning rate over all rounds, in place of one in each
    near: float  # share of the night's near misses that fall to this round


def broad_first(scenes: Sequence[Scene]) -> list[Scene]:
    """The same scenes, in the places of those that were collided the ones that came a long way first."""
    places = [at for at, one in enumerate(scenes) if one.walk]
    walked = sorted((scenes[at] for at in places), key=lambda one: -max(map(len, one.ways)))
    out = list(scenes)
    for at, one in zip(places, walked, strict=True):
        out[at] = one
    return out


def noise(number: int, rounds: int, *, steady: bool = False) -> Noise:
    """The noise of round `number` of `rounds`, from 0; `steady`: the same in each, as a schedule is compared with."""
    if rounds < 2 or steady:
        return Noise(HOT, False, 1 / rounds)
    at = number / (rounds - 1)
    return Noise(HOT + (COOL - HOT) * at, True, 2 * (number + 1) / (rounds * (rounds + 1)))


@dataclass(frozen=True)
class Sampled:
    """A scene, answers that the model as it is gave to it, which of them were good, and which came to their end."""

    scene: Scene
    answers: tuple[str, ...]
    good: tuple[bool, ...]
    whole: tuple[bool, ...]

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


def evenly(wanted: Mapping[str, int], sampled: Sequence[Sampled]) -> dict[str, int]:
    """Each lesson gets as many scenes in a round as it was meant to; what the others leave is not used."""
    return {lesson: wanted[lesson] for lesson in dict.fromkeys(one.scene.lesson or "" for one in sampled)}


def by_need(wanted: Mapping[str, int], sampled: Sequence[Sampled]) -> dict[str, int]:
    """The edge of capability among lessons: as many scenes in a round as all were meant to get together, also those
    that need none any more, the more to a lesson the worse it is answered; half of what it was meant to get at least,
    so that it is not forgotten, and twice that at most.

    Args:
        wanted: by lesson, how many scenes it was meant to get; of all lessons of the night.
        sampled: answers to scenes of those lessons that still need any.
    """
    bad: dict[str, list[float]] = {}
    for one in sampled:
        bad.setdefault(one.scene.lesson or "", []).append(1 - one.share)
    if not bad:
        return {}
    meant_L = np.array([wanted[lesson] for lesson in bad], float)
    need_L = meant_L * np.maximum(SPARED, [np.mean(mine) for mine in bad.values()])
    total = min(sum(wanted.values()), MOST * meant_L.sum())
    dealt_L = lambda factor: np.clip(factor * need_L, FEWEST * meant_L, MOST * meant_L)  # noqa: E731
    factor = brentq(lambda factor: dealt_L(factor).sum() - total, 0, MOST / SPARED)
    ends_L = np.round(np.cumsum(dealt_L(factor))).astype(int)  # so that the sum stays
    return dict(zip(bad, np.diff(ends_L, prepend=0).tolist(), strict=True))


def cloned(sampled: Sequence[Sampled], likes: Likes | None = None) -> list[Scene]:
    """Filtered behavioural cloning: of the answers that the judge found good one is learned, in the model's own words:
    the likeliest to please, or the shortest that is no mere part of the wanted one: a rule asks for a name, and the
    lesson was a sentence. Where there is none, the wanted one. To two questions at once the wanted one: another may
    answer one of them.

    Args:
        likes: how likely each answer to a chat is to please, p_N, where that can be trusted.
    """
    good = [
        [
            text for text, well, whole in zip(one.answers, one.good, one.whole, strict=True)
            if well and whole and text and len(text.split()) >= WHOLE * len((one.scene.answer or "").split())
        ]
        if one.scene.family != "chain" else []
        for one in sampled
    ]  # fmt: skip
    chosen = best([(one.scene.messages, some) for one, some in zip(sampled, good, strict=True)], likes)
    return [
        one.scene if answer is None else replace(one.scene, answer=answer)
        for one, answer in zip(sampled, chosen, strict=True)
    ]


def reinforced(sampled: Sequence[Sampled]) -> list[Scene]:
    """REINFORCE with a baseline (Williams 1992; leave-one-out, Kool et al. 2019): every sampled answer is learned or
    unlearned by how much better it was than the scene's other answers. What all or none did well has no gradient."""
    out = []
    for one in sampled:
        others = max(1, len(one.good) - 1)
        for answer, well, whole in zip(one.answers, one.good, one.whole, strict=True):
            advantage = float(well) - (sum(one.good) - float(well)) / others
            if advantage and answer:
                out.append(replace(one.scene, answer=answer, ended=whole, weight=one.scene.weight * advantage))
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
