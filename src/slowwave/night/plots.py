"""The four plots of a morning report as PNG bytes: one palette, axes with units. Knows no HTML."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from slowwave.night.morning import Morning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# One palette (Okabe and Ito 2008), safe for the colour-blind: what was, what is, the bound, what is chosen.
OLD, NEW, EARLIER, BOUND, INK, PALE = "#9aa5b1", "#0072b2", "#009e73", "#d55e00", "#1f2933", "#e4e7eb"


def salience(m: Morning) -> bytes | None:
    """How much each experience mattered, and which became lessons."""
    if not m.totals or m.threshold is None:
        return None
    figure, axes = _figure(1)
    edges = [i / 20 for i in range(21)]
    chosen = [row["salience"]["total"] for row in m.came_in if row["chosen"]]
    axes[0].hist(m.totals, bins=edges, color=OLD, label="came in")
    axes[0].hist(chosen, bins=edges, color=NEW, label="became a lesson")
    axes[0].axvline(m.threshold, color=BOUND, linestyle="--", label=f"threshold {m.threshold:.2f}")
    axes[0].yaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]  # of MaxNLocator
    _label(axes[0], "salience (weighted mean of the five, 0 to 1)", "experiences (count)")
    return _png(figure)


def training(m: Morning) -> bytes | None:
    """Loss of the lessons and drift of everything else, over the steps."""
    if not m.metrics:
        return None
    figure, axes = _figure(2)
    for key, label, colour in (
        ("cross_entropy", "lessons: cross-entropy", NEW),
        ("kl", "anchors: forward KL", OLD),
        ("kl_rehearsed", "earlier lessons: forward KL", EARLIER),
    ):
        points = [(row["step"] + 1, row[key]) for row in m.metrics if row.get(key) is not None]
        if points:
            axes[0].plot(*zip(*points, strict=True), color=colour, label=label)
    _label(axes[0], "step", "loss (nats per token)")
    points = [(row["step"] + 1, row["drift"]) for row in m.metrics if row.get("drift") is not None]
    if points:
        axes[1].plot(*zip(*points, strict=True), color=NEW, marker="o", markersize=4, label="watched ordinary answers")
    axes[1].axhline(m.drift_bound, color=BOUND, linestyle="--", label=f"training stops at {m.drift_bound:g}")
    axes[1].set_ylim(bottom=0)
    _label(axes[1], "step", "drift from the base (nats per token)")
    return _png(figure)


def lessons(m: Morning) -> bytes | None:
    """Held-out questions answered as taught, before and after, lesson by lesson."""
    rows = [(row.note, row.before, row.after) for row in m.lessons if row.before is not None and row.after is not None]
    if not rows:
        return None
    figure, axes = _figure(1, height=1.2 + 0.32 * len(rows))
    for place, (_, before, after) in enumerate(reversed(rows)):
        ends = [100 * before, 100 * after]
        axes[0].plot(ends, [place, place], color=PALE, linewidth=5, zorder=1, solid_capstyle="round")
        axes[0].scatter(ends[:1], [place], color=OLD, s=55, zorder=2, label=None if place else "before")
        axes[0].scatter(ends[1:], [place], color=NEW, s=28, zorder=3, label=None if place else "after")
    axes[0].set_yticks(range(len(rows)), [_short(note) for note, _, _ in reversed(rows)])
    axes[0].set_xlim(-4, 104)
    axes[0].set_ylim(-0.6, len(rows) - 0.4)
    _label(axes[0], "held-out questions answered as taught (%)", "")
    axes[0].legend(frameon=False, fontsize=9, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return _png(figure)


def margins(m: Morning) -> bytes | None:
    """What was lost, as a share of what may be lost."""
    rows = [
        r for r in m.reasons if r["bound"] and r["value"] is not None and r["figure"] not in ("lessons learned", "gain")
    ]
    if not rows:
        return None
    figure, axes = _figure(1, height=1.2 + 0.34 * len(rows))
    shares = [max(0.0, row["value"] / row["bound"]) for row in rows]
    colours = [NEW if row["ok"] else BOUND for row in rows]
    axes[0].barh(range(len(rows)), shares[::-1], color=colours[::-1], height=0.55)
    axes[0].axvline(1.0, color=BOUND, linestyle="--", label="bound")
    axes[0].set_yticks(range(len(rows)), [row["figure"] for row in rows[::-1]])
    axes[0].set_xlim(0, max(1.15, 1.05 * max(shares)))
    _label(axes[0], "lost, as a share of what may be lost (1 = bound)", "")
    return _png(figure)


def _figure(columns: int, height: float = 3.0) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure  # no pyplot: no window system, no global state, safe in a thread

    figure = Figure(figsize=(8.4, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    axes.legend(frameon=False, fontsize=9)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144)
    return buffer.getvalue()


def _short(text: str) -> str:
    """At most 44 characters that matplotlib takes for plain text: a dollar would begin a formula."""
    text = "".join(c for c in " ".join(text.split()) if c.isprintable())
    return (text if len(text) <= 44 else f"{text[:43]}\N{HORIZONTAL ELLIPSIS}").replace("$", r"\$")
