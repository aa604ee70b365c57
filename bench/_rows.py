"""The table of the night's benchmark: floors and aims, names, and intervals of every arm's figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import _arms
import numpy as np
from _table import Row

from slowwave.exam.statistics import bootstrap, interval_over_seeds, paired_bootstrap

FLOORS = {
    "held_out": (0.85, 0.97, False),
    "right_change": (-0.05, 0.0, False),
    "taken_over": (0.05, 0.0, True),
    "drift": (0.05, 0.02, True),
    "bits": (1.0, 0.0, True),
}
NAMES = {
    "held_out": "held-out wordings as taught",
    "situations": "novel situations as taught",
    "right_change": "near misses right, against base",
    "taken_over": "near misses taken over",
    "drift": "drift, nats a token",
    "bits": "bits per byte, change %",
}


def rows_of(results: list[dict[str, Any]], order: list[str]) -> list[Row]:
    """The table: every arm's figures over all seeds, ours with floors. Intervals resample lessons; drift's, seeds."""
    rows: list[Row] = []
    base = next((r for r in results if r["arm"] == "base"), None)
    for arm in order:
        mine = [r for r in results if r["arm"] == arm]
        if not mine:
            continue
        floors: dict[str, tuple[float, float, bool]] = FLOORS if arm.split(" ")[0] == "adapter" else {}

        def row(name: str, interval: Any, arm: str = arm, floors: dict[str, tuple[float, float, bool]] = floors) -> Row:
            floor, aim, at_most = floors.get(name, (None, None, False))
            return Row(f"{arm}: {NAMES[name]}", interval.value, interval.low, interval.high, floor, aim, at_most)

        if arm == "clock":
            values = [r["minutes"] for r in mine]
            rows.append(
                Row(
                    "one night of 12 lessons, minutes",
                    float(np.median(values)),
                    min(values),
                    max(values),
                    8.0,
                    3.0,
                    True,
                )
            )
            continue
        if _arms.is_five(arm):
            head = arm.replace(_arms.FIVE, "five nights", 1)
            pooled = [v for r in mine for v in r["held_out"]], [g for r in mine for g in r["groups"]["held_out"]]
            found = bootstrap(*pooled)
            rows.append(
                Row(f"{head}: lessons of night 1 after night 5", found.value, found.low, found.high, 0.85, 0.97)
            )
            found = bootstrap([v for r in mine for v in r["course"][0]], pooled[1])
            rows.append(Row(f"{head}: the same after night 1", found.value, found.low, found.high))
            continue
        for name in ("held_out", "situations", "taken_over"):
            values, groups = [v for r in mine for v in r[name]], [g for r in mine for g in r["groups"].get(name, [])]
            if values:
                rows.append(row(name, bootstrap(values, groups)))
        if base is not None:
            after, before = [v for r in mine for v in r["right"]], [v for r in mine for v in base["right"]]
            groups = [g for r in mine for g in r["groups"]["right"]]
            rows.append(row("right_change", paired_bootstrap(before, after, groups)))
            if arm not in ("base", "base again", "note"):
                change = [100 * (r["bits"] / base["bits"] - 1) for r in mine]
                for name, values in (("drift", [r["drift"] for r in mine]), ("bits", change)):
                    if len(values) > 1:
                        rows.append(row(name, interval_over_seeds(values)))
                    else:
                        rows.append(replace(row(name, bootstrap(values * 2)), low=values[0], high=values[0]))
    return rows
