"""The nights so far, what each decided, and taking one back.

The registry is the truth about what is served; lessons in the store follow it. So nothing but the registry's pointer
needs to be atomic: `reconcile` brings the rest in line after a crash, and settling twice is settling once.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from slowwave.errors import DamagedFile
from slowwave.experience.store import Store
from slowwave.models.files import disk_space
from slowwave.models.manifest import parse_version, version_name
from slowwave.models.registry import Registry
from slowwave.night import folder as files
from slowwave.night import past
from slowwave.night.folder import NightFolder
from slowwave.night.gather import overwritten
from slowwave.night.lease import Lease
from slowwave.night.ledger import now

log = logging.getLogger(__name__)
EXIT = {"promoted": 0, "rejected": 0, "skipped": 0, "could not run": 1, "errored": 1, "unfinished": 0}


@dataclass(frozen=True)
class NightSummary:
    """One night in a few words. `verdict` is "unfinished" while no sleep has ended it."""

    night: int
    persona: str
    verdict: str
    adapter: str | None  # the version it made, if it was promoted
    parent: str
    lessons: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    exam: dict[str, Any]
    started: str
    seconds: float
    undone: str | None  # when it was taken back
    folder: Path

    @property
    def exit_code(self) -> int:
        """The exit status of a command that ends with this night."""
        return EXIT[self.verdict]


def summary(night: NightFolder) -> NightSummary:
    """What a night's folder says."""
    dusk = night.read(files.SETTINGS)
    verdict: dict[str, Any] = {"verdict": "unfinished", "lessons": [], "reasons": []}
    if night.closed:
        verdict = night.read(files.VERDICT)
    entries = night.ledger.entries()
    spent = sum((datetime.fromisoformat(e.ended) - datetime.fromisoformat(e.started)).total_seconds() for e in entries)
    promoted = verdict["verdict"] == "promoted"
    return NightSummary(
        night=night.number, persona=dusk["persona"], verdict=verdict["verdict"],
        adapter=version_name(dusk["persona"], night.number) if promoted else None, parent=dusk["parent"],
        lessons=verdict["lessons"], reasons=verdict["reasons"], exam=_figures(night, verdict["reasons"]),
        started=dusk["started"], seconds=round(spent, 1),
        undone=night.read(files.UNDONE)["time"] if night.has(files.UNDONE) else None, folder=night.path,
    )  # fmt: skip


def nights(home: Path, persona: str | None = None) -> list[NightSummary]:
    """Every night, oldest first, of one persona or of all."""
    found = [summary(night) for night in files.folders(home)]
    return [night for night in found if persona is None or night.persona == persona]


def summary_json(night: NightSummary) -> dict[str, Any]:
    """What `slowwave sleep --json` prints, and each night of `slowwave nights --json`."""
    return {
        "night": night.night, "persona": night.persona, "verdict": night.verdict, "adapter": night.adapter,
        "lessons": night.lessons, "exam": night.exam, "reasons": [reason["text"] for reason in night.reasons],
        "started": night.started, "seconds": night.seconds, "undone": night.undone,
        "report": str(night.folder / files.PAGE),
    }  # fmt: skip


def nights_json(home: Path, registry: Registry, persona: str) -> dict[str, Any]:
    """What `slowwave nights --json` prints."""
    found = [summary_json(night) for night in nights(home, persona)]
    return {"nights": found, "serving": registry.serving(persona).name}


def undo(home: Path, store: Store, persona: str, night: int | None = None) -> str:
    """Serve again what was served before `night` (None: the newest) was promoted; returns that version's name.

    Its lessons, and those of the nights built on it, count as undone until a person approves them again.

    Raises:
        LeaseHeld: somebody is sleeping. NightError, DamagedFile: nothing changed.
    """
    registry = Registry(home)
    with disk_space(home), Lease(home):
        before = registry.lineage(persona)[0]
        try:
            registry.undo(persona, night)  # first: what is served may be damaged, and this leaves it behind
            reconcile(home, store, registry)
        except Exception as error:
            if registry.lineage(persona)[0] == before:
                raise
            # It is done, and saying otherwise would make a person undo one night more; the next sleep does the rest.
            log.warning("The night is undone, but not all is written down yet (%s).", error)
        return registry.lineage(persona)[0]


def settle(home: Path, store: Store, night: NightFolder, attempts: int) -> None:
    """Write into the store what became of each lesson: learned, given up after so many nights, or still due."""
    verdict, persona = night.read(files.VERDICT), night.persona
    tried = past.attempts(home, store, persona)
    held = {lesson.id: lesson for lesson in store.lessons(persona)}
    for row in verdict["lessons"]:
        lesson = held.get(row["lesson"])
        if lesson is None or lesson.status not in ("proposed", "approved"):
            continue  # refused by a person meanwhile
        if verdict["wordings"].get(lesson.id) != past.wording(lesson):
            continue  # edited meanwhile: what it says now was not taught
        gained = (row["after"] or 0) > (row["before"] or 0)
        taught = row["outcome"] in ("learned", "known") or (row["outcome"] == "harmful" and gained)
        if verdict["verdict"] == "promoted" and taught:
            store.set_status(lesson.id, "learned", night=night.number)
        elif verdict["verdict"] in ("promoted", "rejected") and tried.get(lesson.id, 0) >= attempts:
            store.set_status(lesson.id, "unlearned", night=night.number)


def reconcile(home: Path, store: Store, registry: Registry) -> None:
    """Bring lessons and folders in line with what the registry serves. Only the holder of the lease calls this."""
    lineages: dict[str, list[str]] = {}
    for persona in registry.personas():
        try:
            lineages[persona] = registry.lineage(persona)
        except DamagedFile:
            continue  # one persona's damage is its own: its next sleep and `doctor` tell of it
        part_of = nights_of(lineages[persona])
        lost = [o for o in store.lessons(persona, "learned") if o.night is not None and o.night not in part_of]
        for lesson in lost:
            before = past.learned_in(home, lesson, part_of)
            store.set_status(lesson.id, "learned" if before else "undone", night=before)
        for id in {lesson.id for lesson in lost} & overwritten(store.lessons(persona, "learned")):
            store.set_status(id, "undone")  # what is served now answers otherwise
    for night in files.folders(home):
        if not night.closed:
            continue
        clean(night)
        if night.has(files.VERDICT) and not night.has(files.UNDONE):
            made = summary(night)
            lineage = lineages.get(made.persona)
            if made.adapter is not None and lineage is not None and night.number not in nights_of(lineage):
                lessons = [row["lesson"] for row in made.lessons]
                night.write(files.UNDONE, {"time": now(), "serving": lineage[0], "lessons": lessons})


def nights_of(lineage: list[str]) -> set[int]:
    """The nights that made the versions of a lineage."""
    return {night for version in lineage if (night := parse_version(version)[1]) is not None}


def clean(night: NightFolder) -> None:
    """Remove what a closed night needs no more: its candidates; the registry holds what was promoted."""
    shutil.rmtree(night.path / files.TRAINED, ignore_errors=True)


def _figures(night: NightFolder, reasons: list[dict[str, Any]]) -> dict[str, Any]:
    """The exam in a few numbers: every figure of the verdict with its bound, and the strength that was promoted."""
    measured = [reason for reason in reasons if reason["value"] is not None]
    figures: dict[str, Any] = {r["figure"]: {key: r[key] for key in ("value", "bound", "ok")} for r in measured}
    return {**figures, "strength": night.read(files.EXAM)["fraction"]} if night.has(files.EXAM) else figures
