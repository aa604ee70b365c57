"""The table of dreams.py: every arm's figures, what one arm is better by than another, and gains per doubling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from _table import Row

from slowwave.exam.statistics import bootstrap, paired_bootstrap

KINDS = ("speaker", "domain", "register", "multi_turn")
BEST = "walk wide x48 anchor_batch=20 noise=0.3"  # what the floors are held against: the best on the lessons for tuning
WHOLE = ("schedule", "seven forms")  # walk, judge, edge and schedule, against prompts that are fixed
PAIRS = (  # what is better by how much than what
    (BEST, "walk x48 anchor_batch=20 noise=0.3"), (BEST, "paraphrase x48"),
    WHOLE, ("walk", "seven forms"), ("judge", "seven forms"),
    ("paraphrase", "seven forms"), ("uniform", "paraphrase"), ("walk", "uniform"), ("judge", "walk"),
    ("rounds", "judge"), ("edge", "rounds"), ("schedule", "edge"), ("schedule", "walk"), ("schedule", "evenly"),
    ("anew", "schedule"), ("reinforce", "schedule"),
    ("links shuffled", "walk"), ("duplicates", "walk"), ("orphans", "walk"),
)  # fmt: skip
_DRAWS = 4000


def rows_of(results: list[dict[str, Any]], arms: Sequence[str]) -> list[Row]:
    """All rows. Intervals resample lessons, over all seeds."""
    of = {arm: [one for one in results if one["arm"] == arm and "groups" in one] for arm in arms}
    rows: list[Row] = []
    base = {lessons_of(one): one for one in of.get("base", [])}
    for arm, mine in of.items():
        if not mine:
            continue
        for figure, name in (("held_out", "held-out wordings"), ("novel", "novel situations")):
            found = bootstrap(*_pooled(mine, figure))
            floor, aim = (0.93, 0.99) if (arm, figure) == (BEST, "held_out") else (None, None)
            rows.append(Row(f"{arm}: {name}", found.value, found.low, found.high, floor, aim))
        if arm == "base":
            continue
        value, low, high = ratio(mine)
        floor, aim = (0.75, 0.9) if arm == BEST else (None, None)
        rows.append(Row(f"{arm}: novel over held-out", value, low, high, floor, aim))
        for kind in KINDS:
            values = [v for one in mine for v, k in zip(one["novel"], one["groups"]["kinds of situation"], strict=True)
                      if k == kind]  # fmt: skip
            rows.append(Row(f"{arm}: novel, {kind}", *_three(bootstrap(values))))
        if base.keys() >= {lessons_of(one) for one in mine}:
            after, groups = _pooled(mine, "right")
            before = [value for one in mine for value in base[lessons_of(one)]["right"]]
            found = paired_bootstrap(before, after, groups)
            floor, aim = (-0.03, 0.0) if arm == BEST else (None, None)
            rows.append(Row(f"{arm}: near misses right, against base", found.value, found.low, found.high, floor, aim))
        rows.append(Row(f"{arm}: near misses taken over", *_three(bootstrap(*_pooled(mine, "taken_over")))))
        drifts = [one["drift"] for one in mine]
        name = f"{arm}: drift, nats a token (and the seeds' range)"
        rows.append(Row(name, float(np.mean(drifts)), min(drifts), max(drifts)))
    for one, other in PAIRS:
        if of.get(one) and of.get(other):
            for figure, name in (("held_out", "held-out wordings"), ("novel", "novel situations")):
                value, low, high = _difference(of[one], of[other], figure)
                asked = (one, other, figure) == (*WHOLE, "held_out")
                rows.append(Row(f"{one} against {other}: {name}", value, low, high, aim=0.1 if asked else None))
                if asked:
                    name = f"{one} against {other}: the width of that interval"
                    rows.append(Row(name, *[high - low] * 3, floor=0.1, at_most=True))
    return rows + _doublings(of)


def ratio(mine: Sequence[dict[str, Any]]) -> tuple[float, float, float]:
    """Novel situations over held-out wordings, answered as taught, and its interval over lessons."""
    held, held_of = _pooled(mine, "held_out")
    novel, novel_of = _pooled(mine, "novel")
    items = sorted(set(held_of))
    number = {item: at for at, item in enumerate(items)}
    sums = np.zeros((4, len(items)))
    for row, values, groups in ((0, held, held_of), (2, novel, novel_of)):
        at = [number[group] for group in groups]
        np.add.at(sums[row], at, values)
        np.add.at(sums[row + 1], at, 1)
    draw = np.random.default_rng(0)
    times = draw.multinomial(len(items), np.full(len(items), 1 / len(items)), size=_DRAWS)
    drawn = sums @ times.T
    found = (drawn[2] / drawn[3]) / np.maximum(drawn[0] / drawn[1], 1e-9)
    low, high = np.quantile(found, (0.025, 0.975))
    return float((np.mean(novel)) / max(np.mean(held), 1e-9)), float(low), float(high)


def _doublings(of: dict[str, list[dict[str, Any]]]) -> list[Row]:
    """What each doubling of the tokens gains."""
    rows = []
    heads = dict.fromkeys(arm.partition(" x")[0] for arm in of if " x" in arm)
    for head in heads:
        sizes = [f"{head} x{size}" for size in (1, 2, 4, 8)] + [head]
        for less, more in pairwise(sizes):
            if of.get(less) and of.get(more):
                for figure, name in (("held_out", "held-out wordings"), ("novel", "novel situations")):
                    at = more.partition(" x")[2] or "16"
                    rows.append(Row(f"{head}, to x{at}: {name} gained", *_difference(of[more], of[less], figure)))
    return rows


def _difference(
    one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]], figure: str
) -> tuple[float, float, float]:
    """Of runs on the same lessons with the same seeds."""
    first, second = ({(lessons_of(r), r["seed"]): r for r in some} for some in (one, other))
    both = sorted(first.keys() & second.keys())
    after, groups = _pooled([first[key] for key in both], figure)
    return _three(paired_bootstrap(_pooled([second[key] for key in both], figure)[0], after, groups))


def lessons_of(result: dict[str, Any]) -> str:
    """The set of lessons that a result is of, "exam" of "exam-fact-9"."""
    return str(result["groups"]["held_out"][0]).partition("-")[0]


def _pooled(mine: Sequence[dict[str, Any]], figure: str) -> tuple[list[float], list[str]]:
    return [v for one in mine for v in one[figure]], [g for one in mine for g in one["groups"][figure]]


def _three(found: Any) -> tuple[float, float, float]:
    return found.value, found.low, found.high
