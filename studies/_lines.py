"""The plot of a figure that goes along something: nights, labels, tokens. A line each, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

Point = tuple[float, float, float, float]  # where, the value, the ends of its interval
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito


def draw(
    lines: Mapping[str, Sequence[Point]], file: Path, *, x: str, y: str, bound: float | None = None, log: bool = False
) -> None:
    """Draw the lines into `file` (.png, .svg or .pdf).

    Args:
        bound: the floor, or what is lost at most; dashed.
        log: `x` doubles from one mark to the next.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for (name, points), colour in zip(lines.items(), COLOURS * len(lines), strict=False):
        at, value, low, high = zip(*points, strict=True)
        axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(at, value, "o-", color=colour, markersize=4, linewidth=1.5, label=name)
    if bound is not None:
        axes.axhline(bound, color="0.4", linestyle="--", linewidth=1)
    marks = sorted({point[0] for points in lines.values() for point in points})
    if log:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(marks, [f"{mark:,g}" for mark in marks])
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(file)
