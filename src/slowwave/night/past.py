"""What earlier nights left for this one: their scenes, and which lessons were tried in vain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from slowwave.dream.diversity import Diversity
from slowwave.experience.store import Store
from slowwave.night import folder as files
from slowwave.night.folder import NightFolder
from slowwave.records import Lesson, Scene, from_dict, new_id

MORE, MOST = 0.5, 2.0  # of the usual scenes again for each night that tried a lesson in vain; times them at most


def scenes_of(home: Path, lessons: Sequence[Lesson]) -> list[Scene]:
    """The scenes with which lessons were learned: from the night that learned each, else the newest that dreamed of it.

    A lesson whose nights' folders are gone has none.
    """
    nights = [night for night in reversed(files.folders(home)) if night.closed and night.has(files.SCENES)]
    wanted = {lesson.id: lesson.night for lesson in lessons}
    found: dict[str, list[Scene]] = {}
    for pick in (lambda night, id: night.number == wanted[id], lambda night, id: True):
        missing = wanted.keys() - found.keys()
        for night in nights:
            here = {id for id in missing - found.keys() if pick(night, id)}
            for scene in _scenes(night) if here else []:
                if scene.lesson in here:
                    found.setdefault(scene.lesson, []).append(scene)
    return [scene for lesson in lessons for scene in found.get(lesson.id, [])]


def nights_with(home: Path, experience: str) -> list[int]:
    """The nights whose folders hold words of an experience: as what came in, as what a lesson came from, or as what
    one was collided with."""
    found = []
    for night in files.folders(home):
        named: set[str] = set()
        if night.has(files.LESSONS):
            read = night.read(files.LESSONS)
            rows = [*read["lessons"], *read["earlier"]]
            named |= {row["id"] for row in read["came_in"]} | {id for row in rows for id in row["experiences"]}
        for scenes in (files.SCENES, files.ROUNDS):
            named |= {id for row in (night.read(scenes) if night.has(scenes) else []) for id in row["lineage"]}
        found += [night.number] if experience in named else []
    return found


def attempts(home: Path, store: Store, persona: str) -> dict[str, float]:
    """Lesson id -> how many examined nights tried it, worded as it is now, in vain.

    A night that learned it and was rejected counts half: another lesson may be what it was rejected for, and is given
    up first.
    """
    worded = {lesson.id: wording(lesson) for lesson in store.lessons(persona)}
    counts: dict[str, float] = {}
    for night in files.folders(home):
        if not night.has(files.VERDICT) or night.persona != persona:
            continue
        verdict = night.read(files.VERDICT)
        for row in verdict["lessons"] if verdict["verdict"] in ("promoted", "rejected") else []:
            same = verdict["wordings"].get(row["lesson"]) == worded.get(row["lesson"])
            failed = row["outcome"] in ("not learned", "harmful")
            if same and (failed or verdict["verdict"] == "rejected"):
                counts[row["lesson"]] = counts.get(row["lesson"], 0) + (1 if failed else 0.5)
    return counts


def learned_in(home: Path, lesson: Lesson, nights: AbstractSet[int]) -> int | None:
    """The newest of these nights that learned the lesson, worded as it is now; None: none did."""
    for night in reversed(files.folders(home)):
        if night.number in nights and night.persona == lesson.persona and night.has(files.VERDICT):
            verdict = night.read(files.VERDICT)
            taught = {row["lesson"] for row in verdict["lessons"] if row["outcome"] in ("learned", "known")}
            if lesson.id in taught and verdict["wordings"].get(lesson.id) == wording(lesson):
                return night.number
    return None


def more(home: Path, store: Store, lessons: Sequence[Lesson]) -> dict[str, float]:
    """By id, how many times the usual scenes lessons get that earlier nights tried in vain."""
    tried = attempts(home, store, lessons[0].persona) if lessons else {}
    return {one.id: times(tried[one.id]) for one in lessons if tried.get(one.id)}


def times(tried: float) -> float:
    """How many times the usual scenes a lesson gets that was tried so often."""
    return min(MOST, 1 + MORE * tried)


def unconverged(home: Path, persona: str, learned: Sequence[Lesson]) -> dict[str, int]:
    """Lesson id -> in how many nights of rounds it was taught, of those learned lessons whose old reflex none of the
    promoted ones has seen gone: an exam of a few questions says less than many novel scenes. Nights that were undone do
    not count, and of rejected ones only those that taught it once more."""
    taught: Counter[str] = Counter()
    gone: set[str] = set()
    for night in files.folders(home) if learned else ():  # of none nothing is read
        if night.persona != persona or not (night.has(files.EXAM) and night.has(files.VERDICT)):
            continue
        if night.has(files.UNDONE):
            continue
        converged = night.read(files.EXAM).get("training", {}).get("converged")
        if converged is not None:
            taught.update(night.read(files.DREAMS).get("retried", []))
        if converged is not None and night.read(files.VERDICT)["verdict"] == "promoted":
            gone |= set(converged)
            taught.update(row["id"] for row in night.read(files.LESSONS)["lessons"])
    return {one.id: taught[one.id] for one in learned if taught[one.id] and one.id not in gone}


def diversities(home: Path, persona: str) -> list[Diversity]:
    """How diverse the dreams of the first ten nights were: held against the newest, a slow decline would never show."""
    kept = [night.read(files.DREAMS) for night in files.folders(home)
            if night.persona == persona and night.closed and night.has(files.DREAMS)]  # fmt: skip
    return [Diversity(**one["diversity"]) for one in kept if one["diversity"]][:10]


def wording(lesson: Lesson) -> str:
    """A digest of what a lesson teaches. Editing it gives it new attempts."""
    return new_id(lesson.note, lesson.question, lesson.answer, lesson.check.any_of, lesson.check.none_of, lesson.cue)


def _scenes(night: NightFolder) -> list[Scene]:
    return [from_dict(Scene, row) for row in night.read(files.SCENES)]
