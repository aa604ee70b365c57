"""The morning report in the terminal: what came in, the answers side by side, what was not learned, what is served."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from slowwave.night import folder as files
from slowwave.night.history import NightSummary
from slowwave.night.morning import Morning, morning
from slowwave.plain import printable

_CHOSEN = 8  # experiences listed; the page lists more


def report(night: NightSummary) -> RenderableType:
    """The whole report of an ended night, for `Console.print`; of an unfinished one, a line."""
    if night.verdict == "unfinished":
        return Text(f"Night {night.night} was interrupted; the next `slowwave sleep` goes on with it.")
    m = morning(files.find(night.folder.parent.parent, night.night))
    parts: list[RenderableType] = [said(m.headline, "bold")]
    if night.undone:
        parts.append(Text(f"It was undone on {night.undone[:10]}.", style="bold"))
    if m.came_in:
        parts += [Text(), _came_in(m)]
    if m.lessons:
        parts += [Text(), _answers(m), Text(), _not_learned(m)]
    parts += [
        Text(),
        _reasons(m),
        Text(),
        Text(
            f"{_trained(m)}{_besides(m)}Serving: {m.serving}\nUndo:    {m.undo}\nPage:    {night.folder / files.PAGE}"
        ),
    ]
    return Group(*parts)


def _came_in(m: Morning) -> Table:
    chosen = sum(row["chosen"] for row in m.came_in)
    table = _table(f"What came in: {len(m.totals)} new, {chosen} became lessons (threshold {m.threshold:.2f})")
    for head in ("salience", "experience", "source", ""):
        table.add_column(head, justify="right" if head == "salience" else "left")
    for row in sorted(m.came_in, key=lambda row: not row["chosen"])[:_CHOSEN]:
        style = "" if row["chosen"] else "dim"
        table.add_row(
            f"{row['salience']['total']:.2f}", said(row["text"][:70]), said(row["source"]), row["why"], style=style
        )
    if len(m.totals) > _CHOSEN:
        table.add_row("", f"and {len(m.totals) - _CHOSEN} more", "", "", style="dim")
    return table


def _answers(m: Morning) -> Table:
    table = _table("Before and after, on questions that were never trained on")
    for head in ("question", "before", "after", ""):
        table.add_column(head, ratio=None if not head else 1)
    for lesson in m.lessons:
        taught = next((asked for asked in lesson.asked if asked.kind == "apply"), None)
        if taught is not None:
            good = lesson not in m.not_learned
            mark = Text(lesson.outcome, style="green" if good else "red")
            table.add_row(said(taught.question), said(taught.before), said(taught.after), mark)
    return table


def _not_learned(m: Morning) -> RenderableType:
    if not m.not_learned:
        return Text("Not learned: nothing; every lesson of this night was learned.")
    table = _table("What was not learned")
    for head in ("lesson", "exam", "why"):
        table.add_column(head)
    kept = "" if m.verdict == "promoted" else "the new weights were not kept; "
    for lesson in m.not_learned:
        table.add_row(said(lesson.note), Text(lesson.outcome, style="red"), said(kept + lesson.why))
    return table


def _reasons(m: Morning) -> Table:
    table = _table("Why this verdict")
    table.add_column("")
    table.add_column("")
    for reason in m.reasons:
        table.add_row(
            Text("ok" if reason["ok"] else "no", style="green" if reason["ok"] else "red"), said(reason["text"])
        )
    if m.strength is not None and m.strength < 1:
        table.add_row("", f"Weights were taken back to {m.strength:.0%} of the change until nothing was lost.")
    return table


def _trained(m: Morning) -> str:
    t = m.training
    if not t:
        return ""
    return f"Trained: {t['steps']} steps in {t['seconds']:.0f} s; the version takes {t['bytes'] / 1e6:.1f} MB\n"


def _besides(m: Morning) -> str:
    return "".join(f"{about + ':':<9}{printable(text)}\n" for about, text in m.besides.items())


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )


def said(text: str, style: str = "") -> Text:
    """What somebody said, as plain text: no markup, and no control characters that a terminal would obey."""
    return Text(printable(text), style=style)
