"""A night's training in rounds: the model as it is by then answers what it was not trained on yet, and what it answers
decides what it is trained on next.

A lesson whose old reflex fires on none of enough novel scenes has converged and needs no more; when all have, the next
round is the last: it holds still all that later rounds would have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slowwave.dream.anew import Anew
from slowwave.dream.filters import Embeds
from slowwave.dream.loop import Sampled, broad_first, by_need, cloned, converged, edge, noise, novel
from slowwave.dream.rubric import Rubric
from slowwave.dream.settings import DreamSettings
from slowwave.exam.match import has_rule, passes
from slowwave.learn.decision import Decision
from slowwave.learn.settings import LearnSettings
from slowwave.learn.train import Round
from slowwave.night.decisions import Curriculum, decision
from slowwave.records import Scene

SAME = 0.8  # cosine from which an answer says what was wanted, where no rule tells
ALIKE = 0.5  # and from which a model with a rubric is asked

Choose = Callable[[Sequence[Sampled], int, np.random.Generator], list[Sampled]]
Learn = Callable[[Sequence[Sampled]], list[Scene]]
OnRound = Callable[[int, Sequence[Scene]], Any]  # the number of a round, from 1; what it learns
Deal = Callable[[Mapping[str, int], Sequence[Sampled]], dict[str, int]]


@dataclass
class Rounds:
    """The rounds of one night. Iterating over `plan` trains them; afterwards the figures tell what happened.

    Args:
        scenes: all that was dreamt for training.
        taught: the curriculum of the same scenes: its anchors are dealt out to the rounds.
        most: scenes a lesson in the whole night; what is dreamt beyond them is there to choose from. None: two thirds
            of what the lesson with most has.
        more: lessons, by id, that get so many times the scenes of the others.
        anew: dreams of lessons once more between two rounds, from their own exchanges, with the model as it is by then.
        rubric: who is asked about answers that rule and vectors leave open; without one they are not good.
        on_round: told of what each round learns, the number of the first being 1.
        deadline: `time.monotonic()` value after which nothing more is asked and no further round is trained.
        deal: how many scenes each lesson that still needs any gets in a round after the first.
        choose, learn, steady: how scenes are chosen, what is learned of them, and whether all rounds are alike.
    """

    engine: Any
    embedder: Embeds
    scenes: Sequence[Scene]
    taught: Curriculum
    dream: DreamSettings
    settings: LearnSettings
    seed: int
    most: int | None = None
    more: Mapping[str, float] = field(default_factory=dict)
    anew: Anew | None = None
    rubric: Rubric | None = None
    on_round: OnRound = lambda number, learned: None
    deal: Deal = by_need
    choose: Choose = edge
    learn: Learn = cloned
    steady: bool = False
    deadline: float = float("inf")
    converged: set[str] = field(default_factory=set)
    shares: list[float] = field(default_factory=list)  # of good answers, after each round

    def plan(self) -> Iterator[Round]:
        """What each round trains, decided when the one before is over."""
        rng = np.random.default_rng([self.seed, 7])
        pool = self._pool(rng)
        left = dict(pool)
        held = self._anchors(rng)
        usual = max((len(mine) / self.more.get(lesson, 1) for lesson, mine in pool.items()), default=1)
        each = -(-(self.most or max(1, round(2 / 3 * usual))) // self.dream.rounds)
        wanted = {lesson: round(each * self.more.get(lesson, 1)) for lesson in pool}
        sampled, used, learnt, steps = list[Sampled](), set[str](), list[Decision](), 0
        for number in range(self.dream.rounds):
            loud = noise(number, self.dream.rounds, steady=self.steady)
            picked: list[Sampled] = []
            if not number:
                for lesson, mine in left.items():
                    picked += _cycled([Sampled(one, (), (), ()) for one in mine], wanted[lesson])
            sampled = [one for one in sampled if one.scene.lesson not in self.converged]
            for lesson, count in self.deal(wanted, sampled).items():
                free = [one for one in sampled if one.scene.lesson == lesson]
                picked += _cycled(self.choose(free, count, rng), count)
            used |= {one.scene.id for one in picked}
            left = {lesson: [one for one in mine if one.id not in used] for lesson, mine in left.items()}
            learned = self.learn(picked) if number else [one.scene for one in picked]
            self.on_round(number + 1, learned)
            lessons = [decision(self.engine, one, weight=one.weight) for one in learned]
            if lessons:  # of answers that are all alike nothing is reinforced
                lessons += self.taught.relearned
                steps = max(
                    -(-self.settings.min_steps // self.dream.rounds),
                    round(self.settings.epochs * len(lessons) / self.settings.lesson_batch),
                )
                learnt += lessons
                yield Round(lessons, steps, held[number], loud.anneal, steps * (self.dream.rounds - number - 1))
            if self.anew and number + 1 < self.dream.rounds:
                own = [mine[0] for lesson, mine in pool.items() if lesson not in self.converged]
                for one in self.anew.dream([one for one in own if one.family == "given"], number + 1):
                    left[one.lesson or ""].insert(0, one)  # before what is older: more is dreamt than a night trains
            after = noise(min(number + 1, self.dream.rounds - 1), self.dream.rounds, steady=self.steady)
            sampled = self._answers(left, pool, wanted, used, after.temperature)
            if time.monotonic() > self.deadline:
                if learnt and number + 1 < self.dream.rounds:
                    yield Round(learnt, steps, held[number + 1])  # ends at its first step, out of time
                return
            if self.converged >= left.keys():
                yield from self._closing(learnt, held[number + 1 :], steps, loud.anneal)
                return

    def _closing(
        self, learnt: Sequence[Decision], held: Sequence[Sequence[Decision]], steps: int, anneal: bool
    ) -> Iterator[Round]:
        """What no round has held still yet, most of the near misses, beside what taught the lessons: without it they
        would be taken over, and the rate would end where it was high."""
        anchors = [anchor for some in held for anchor in some]
        if anchors and self.settings.anchor_batch and self.settings.kl_weight:
            steps = max(steps, -(-len(anchors) // self.settings.anchor_batch))
            yield Round([one for one in learnt if one.weight > 0], steps, anchors, anneal)

    def _answers(
        self, left: Mapping[str, list[Scene]], pool: Mapping[str, list[Scene]], wanted: Mapping[str, int],
        used: set[str], temperature: float,
    ) -> list[Sampled]:  # fmt: skip
        """What the model as it is by now answers to scenes that it was not trained on, twice as many as a lesson needs,
        and enough to say whether it has converged; of a lesson that has none left, to old ones."""
        if time.monotonic() > self.deadline:
            return []
        least = novel(self.dream.confidence, self.dream.reflex)
        asked = [
            one
            for lesson, mine in left.items()
            if lesson not in self.converged
            for one in (mine or pool[lesson])[: max(2 * wanted[lesson], least)]
        ]
        sampled = self._sampled(asked, temperature) if asked else []
        self.shares.append(float(np.mean([one.share for one in sampled])) if sampled else 1.0)
        self.converged |= converged([one for one in sampled if one.scene.id not in used], least)
        return sampled

    def _anchors(self, rng: np.random.Generator) -> list[list[Decision]]:
        """What each round holds still: near misses more from round to round, everyday answers alike in all."""
        of = range(self.dream.rounds)
        near = [self.taught.near[i] for i in rng.permutation(len(self.taught.near))]
        kept = set(near)
        everyday = [a for a in self.taught.anchors if not (a.from_start or a in kept)]
        everyday = [everyday[i] for i in rng.permutation(len(everyday))]
        later = _dealt(near, [noise(number, len(of), steady=self.steady).near for number in of])
        return [a + b for a, b in zip(later, _dealt(everyday, [1 / len(of)] * len(of)), strict=True)]

    def _pool(self, rng: np.random.Generator) -> dict[str, list[Scene]]:
        """Training scenes in which lessons apply, by lesson, in an order drawn by chance, its own exchange first; with
        a schedule, of those that were collided the broad ones before the narrow ones."""
        pool: dict[str, list[Scene]] = {}
        for at in rng.permutation(len(self.scenes)):
            one = self.scenes[at]
            if one.taught and one.split == "train" and one.lesson is not None and one.answer:
                pool.setdefault(one.lesson, []).append(one)
        if not self.steady:
            pool = {lesson: broad_first(mine) for lesson, mine in pool.items()}
        return {lesson: sorted(mine, key=lambda one: one.family != "given") for lesson, mine in pool.items()}

    def _sampled(self, scenes: Sequence[Scene], temperature: float) -> list[Sampled]:
        rows = self.engine.generate(
            [one.messages for one in scenes], max_new_tokens=self.dream.tokens, n=self.dream.answers,
            temperature=temperature, seed=self.seed, batch=self.engine.rows,
        )  # fmt: skip
        good = iter(self._good([(one, reply.text) for one, row in zip(scenes, rows, strict=True) for reply in row]))
        return [
            Sampled(
                one, tuple(reply.text for reply in row), tuple(next(good) for _ in row),
                tuple(reply.finish == "stop" for reply in row),
            )
            for one, row in zip(scenes, rows, strict=True)
        ]  # fmt: skip

    def _good(self, said: Sequence[tuple[Scene, str]]) -> list[bool]:
        """Whether each answer is what its lesson wants: by its rule, else by what it means, and by the rubric where
        that leaves it open; the rule of a chain is its first lesson's alone."""
        ruled = [has_rule(one.check) and one.family != "chain" for one, _ in said]
        out = [rule and passes(text, one.check) for rule, (one, text) in zip(ruled, said, strict=True)]
        open_ = [at for at, rule in enumerate(ruled) if not rule]
        if open_:
            said_D = self.embedder.embed([said[at][1] for at in open_])
            cosine_O = (said_D * self.embedder.embed([said[at][0].answer or "" for at in open_])).sum(axis=1)
            for at, cosine in zip(open_, cosine_O, strict=True):
                out[at] = bool(cosine >= SAME)
            unsure = [at for at, cosine in zip(open_, cosine_O, strict=True) if ALIKE <= cosine < SAME]
            if self.rubric is not None:
                for at, well in zip(unsure, self.rubric.good([said[at] for at in unsure]), strict=True):
                    out[at] = well is True
        return out


def _cycled(some: Sequence[Sampled], count: int) -> list[Sampled]:
    """`count` of them, in turn where there are fewer: lessons with few scenes would be learned less."""
    return [some[i % len(some)] for i in range(count)] if some else []


def _dealt(some: Sequence[Decision], shares: Sequence[float]) -> list[list[Decision]]:
    """All of them, in parts of these shares."""
    ends = np.round(np.cumsum(shares) * len(some)).astype(int)
    return [list(some[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
