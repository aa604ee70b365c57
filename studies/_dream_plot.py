"""The plot of dreams.py: what each way to dream is answered by, and what more tokens gain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import _lines
import numpy as np

from slowwave.exam.statistics import bootstrap

FIGURES = {"held_out": ("held-out wordings", "#0072b2"), "novel": ("novel situations", "#d55e00")}  # Okabe and Ito


def plot(results: list[dict[str, Any]], arms: Sequence[str], file: Path) -> None:
    """A row an arm with both shares and their intervals over lessons; a dot for each seed."""
    from matplotlib.figure import Figure

    of = {arm: [one for one in results if one["arm"] == arm and "held_out" in one] for arm in arms}
    shown = [arm for arm, mine in of.items() if mine and arm != "base"]
    figure = Figure(figsize=(7.6, 1.2 + 0.42 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    for row, arm in enumerate(shown):
        for (name, (_, colour)), shift in zip(FIGURES.items(), (-0.15, 0.15), strict=True):
            values = [v for one in of[arm] for v in one[name]]
            found = bootstrap(values, [g for one in of[arm] for g in one["groups"][name]])
            axes.hlines(row + shift, found.low, found.high, color=colour, linewidth=2)
            axes.plot(found.value, row + shift, "o", color=colour, markersize=5)
            seeds = [float(np.mean(one[name])) for one in of[arm]]
            axes.plot(seeds, [row + shift] * len(seeds), "|", color=colour, markersize=8, alpha=0.6)
    for label, colour in FIGURES.values():
        axes.plot([], [], "o-", color=colour, label=label)
    axes.set_yticks(range(len(shown)), shown)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share answered as taught (bars: 95 %)")
    figure.legend(frameon=False, loc="outside upper center", ncols=2)
    figure.savefig(file)


def curve(results: list[dict[str, Any]], file: Path, tokens: int) -> None:
    """Both shares of every arm that was run at several sizes, along the tokens of a lesson.

    Args:
        tokens: of a lesson at the whole size, sixteen.
    """
    sizes: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for one in results:
        head, _, size = one["arm"].partition(" x")
        if "size" in one and (not size or size.isdigit()):  # no other settings
            sizes.setdefault(head, {}).setdefault(one["size"], []).append(one)
    lines = {}
    for head, mine in sizes.items():
        for name, (label, _) in FIGURES.items() if len(mine) > 1 else ():
            points = []
            for size, ran in sorted(mine.items()):
                groups = [g for one in ran for g in one["groups"][name]]
                found = bootstrap([v for one in ran for v in one[name]], groups)
                points.append((tokens * size / 16, found.value, found.low, found.high))
            lines[f"{head}: {label}"] = points
    _lines.draw(lines, file, x="tokens of a lesson in a pass", y="answered as taught (share)", log=True)
