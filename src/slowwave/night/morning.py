"""What a night has to tell, gathered from its folder for the terminal and for the page. Knows no layout.

Nights end early in many places, so everything beyond the verdict may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slowwave.models.manifest import version_name
from slowwave.night import folder as files
from slowwave.night.besides import besides
from slowwave.night.folder import NightFolder

GOOD = ("learned", "known")


@dataclass(frozen=True)
class Asked:
    """One held-out question with both answers. `right` is None where no rule decides."""

    kind: str
    question: str
    before: str
    after: str
    right_before: bool | None
    right: bool | None


@dataclass(frozen=True)
class Taught:
    """One lesson of the night and its questions."""

    note: str
    outcome: str
    before: float | None
    after: float | None
    why: str
    asked: list[Asked]


@dataclass(frozen=True)
class Morning:
    """The whole morning report as data."""

    night: int
    persona: str
    verdict: str
    headline: str
    came_in: list[dict[str, Any]]
    totals: list[float]
    threshold: float | None
    lessons: list[Taught]
    reasons: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    training: dict[str, Any]
    strength: float | None
    tries: list[dict[str, Any]]
    drift_bound: float
    serving: str
    undo: str
    besides: dict[str, str]  # what else there is to say, a sentence each, by what it is about

    @property
    def not_learned(self) -> list[Taught]:
        """The lessons that a person must hear did not come through, harmful ones among them."""
        return [lesson for lesson in self.lessons if lesson.outcome not in GOOD or self.verdict != "promoted"]


def morning(night: NightFolder) -> Morning:
    """Read a night that has its verdict."""
    dusk, verdict = night.read(files.SETTINGS), night.read(files.VERDICT)
    gathered = night.read(files.LESSONS) if night.has(files.LESSONS) else {}
    exam = night.read(files.EXAM) if night.has(files.EXAM) else {}
    lessons = [_taught(row, exam) for row in verdict["lessons"]]
    promoted = verdict["verdict"] == "promoted"
    serving = version_name(dusk["persona"], night.number) if promoted else dusk["parent"]
    return Morning(
        night=night.number, persona=dusk["persona"], verdict=verdict["verdict"],
        headline=_headline(night.number, verdict, lessons, serving),
        came_in=gathered.get("came_in", []), totals=gathered.get("totals", []), threshold=gathered.get("threshold"),
        lessons=lessons, reasons=verdict["reasons"],
        metrics=night.read(files.METRICS) if night.has(files.METRICS) else [],
        training=exam.get("training", {}), strength=exam.get("fraction"), tries=exam.get("tries", []),
        drift_bound=dusk["settings"]["learn"]["drift_bound"], serving=serving,
        besides=besides(night),
        undo=f"slowwave undo {night.number}" if promoted else "Nothing to undo: the served version did not change.",
    )  # fmt: skip


def _headline(number: int, verdict: dict[str, Any], lessons: list[Taught], serving: str) -> str:
    learned = sum(lesson.outcome in GOOD for lesson in lessons)
    match verdict["verdict"]:
        case "promoted":
            told = f"was promoted: {learned} of {len(lessons)} lessons learned; {serving} answers from now on."
        case "rejected":
            told = (
                f"was rejected: {learned} of {len(lessons)} lessons learned, but the exam was failed; {serving} stays."
            )
        case other:
            said = {"skipped": "was skipped", "could not run": "could not run", "errored": "ended with an error"}[other]
            told = f"{said}: {verdict['reasons'][0]['text']}"
    return f"Night {number} {told}"


def _taught(row: dict[str, Any], exam: dict[str, Any]) -> Taught:
    asked = []
    if exam:
        for before, after in zip(exam["before"]["answers"], exam["after"]["answers"], strict=True):
            if after["lesson"] == row["lesson"]:
                asked.append(_asked(before, after))
    return Taught(row["note"], row["outcome"], row["before"], row["after"], row["why"], asked)


def _asked(before: dict[str, Any], after: dict[str, Any]) -> Asked:
    near = after["kind"] == "near_miss" and after["taken_over"] is not None and after["right"] is None
    right = not after["taken_over"] if near else after["right"]
    return Asked(after["kind"], after["question"], before["answer"], after["answer"], before["right"], right)
