"""What a night learns: the experiences that matter, may teach and are not yet lessons; and the lessons that are due.

Everything it decides it can decide again from the store, so a crash in the middle costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from slowwave.config import NightSettings, Settings
from slowwave.errors import NotFound
from slowwave.exam.match import normalise
from slowwave.experience.authority import Permission
from slowwave.experience.rows import moment
from slowwave.experience.salience import threshold
from slowwave.experience.store import Store
from slowwave.night.lessons import MOST, extract, said_before, too_long
from slowwave.records import Experience, Lesson, to_dict

SHOWN = 200  # experiences listed one by one in the night's folder; the totals of all are kept


@dataclass(frozen=True)
class Gathered:
    """What came in, and what of it is to be learned. `waiting` lessons only lack a person's approval."""

    threshold: float
    came_in: list[dict[str, Any]]
    totals: list[float]
    lessons: list[Lesson]
    earlier: list[Lesson]
    permitted: list[str]  # ids of the experiences that tonight's lessons may draw on
    waiting: int

    def why_empty(self) -> str:
        """Why there is nothing to learn."""
        if self.waiting:
            return f"{self.waiting} lessons wait for approval: `slowwave lessons list`, `slowwave lessons approve`."
        if not self.came_in:
            return "Nothing new was experienced since the last night."
        best = max(self.totals)
        return (
            f"{len(self.totals)} new experiences, but none that may teach, matters enough (threshold "
            f"{self.threshold:.2f}, highest salience {best:.2f}) and holds a lesson."
        )

    def to_json(self) -> dict[str, Any]:
        """The content of lessons.json."""
        return {
            "threshold": self.threshold, "came_in": self.came_in, "totals": self.totals,
            "lessons": [to_dict(lesson) for lesson in self.lessons],
            "earlier": [to_dict(lesson) for lesson in self.earlier], "permitted": self.permitted,
        }  # fmt: skip


def gather(store: Store, persona: str, settings: Settings, attempts: dict[str, float]) -> Gathered:
    """Turn what matters into lessons, keep them in the store, and choose tonight's.

    Args:
        attempts: how many nights tried each lesson, as it is worded now, in vain. What a person approved since is due
            all the same.
    """
    night = settings.night
    permission = Permission(tuple(night.permitted))
    known = {id for lesson in store.lessons(persona) for id in lesson.experiences}
    new = [e for e in store.experiences(persona) if e.id not in known and e.salience]
    level = threshold(settings.salience, [e.salience.total for e in new if e.salience])
    came_in = [_row(store, experience, level, permission) for experience in new]
    lessons = store.lessons(persona)
    due = ("approved",) if night.require_approval else ("approved", "proposed")
    allowed = [lesson for lesson in lessons if permitted(store, lesson, permission)]
    tried_enough = lambda lesson: attempts.get(lesson.id, 0) >= night.attempts  # noqa: E731
    standing = newest(allowed, said_last(store, persona, allowed), night)
    learned = {lesson.id for lesson in allowed if lesson.status == "learned"}
    again = {lesson.id for lesson in standing if lesson.status == "proposed"} & learned
    for id in sorted(again):
        store.set_status(id, "proposed")
    chosen = [
        lesson for lesson in standing
        if lesson.status in due and (lesson.status == "approved" or not tried_enough(lesson)) and not too_long(lesson)
    ]  # fmt: skip
    chosen.sort(key=lambda lesson: (lesson.status != "approved", -lesson.salience))  # stable: older first among equals
    chosen = chosen[: night.max_lessons]
    return Gathered(
        threshold=level,
        came_in=sorted(came_in, key=lambda row: -row["salience"]["total"])[:SHOWN],
        totals=[round(row["salience"]["total"], 4) for row in came_in],
        lessons=chosen,
        earlier=_in_force([lesson for lesson in allowed if lesson.id in learned - again], chosen),
        permitted=sorted({id for lesson in chosen for id in lesson.experiences}),
        waiting=len({o.id for o in allowed if o.status == "proposed"} | again) if night.require_approval else 0,
    )


def newest(lessons: Sequence[Lesson], said: Mapping[str, float], night: NightSettings) -> list[Lesson]:
    """The lessons, oldest first, and of several answers to one question, or phrases for one cue, the one that was said
    last of those that stand: that are not refused, and wait for no approval. One that was learned, and is said once
    more after a night that learned another, is to be learned again: it is "proposed".

    Args:
        said: `said_last` of these lessons.
    """
    waits = ("refused", "proposed") if night.require_approval else ("refused",)
    standing, over = [lesson for lesson in lessons if lesson.status not in waits], overwritten(lessons)
    last: dict[str, Lesson] = {}
    for lesson in standing:
        other = last.setdefault(_asks(lesson) or lesson.id, lesson)
        if said.get(lesson.id, 0.0) >= said.get(other.id, 0.0):
            last[_asks(lesson) or lesson.id] = lesson
    found = [lesson for lesson in standing if last[_asks(lesson) or lesson.id].id == lesson.id]
    return [replace(lesson, status="proposed") if lesson.id in over else lesson for lesson in found]


def said_last(store: Store, persona: str, lessons: Sequence[Lesson]) -> dict[str, float]:
    """By id, when a lesson was last said, in seconds since 1970; of those that have another answer beside them."""
    asks = Counter(map(_asks, lessons))
    both = [lesson for lesson in lessons if _asks(lesson) and asks[_asks(lesson)] > 1]
    taught = store.taught(persona) if both else {}
    lived = {lesson.id: store.some_experiences(lesson.experiences) for lesson in both}
    anew = {id: [one for one in some if not said_before(one)] or some[:1] for id, some in lived.items()}
    return {id: max([taught.get(id, 0.0), *(moment(one.time) for one in some)]) for id, some in anew.items()}


def overwritten(lessons: Sequence[Lesson]) -> set[str]:
    """Learned lessons after which a later night learned another answer."""
    learned = sorted((one for one in lessons if one.status == "learned"), key=lambda one: one.night or 0)
    last = {_asks(one): one.id for one in learned}
    return {one.id for one in learned if _asks(one) and last[_asks(one)] != one.id}


def _in_force(learned: Sequence[Lesson], due: Sequence[Lesson]) -> list[Lesson]:
    """The learned lessons that no later one contradicts: of two answers to one question the newer is the lesson.

    The older is neither rehearsed nor examined, as it would be held against the newer. If the newer is undone, the
    older counts again.
    """
    newest = {_asks(lesson): lesson for lesson in sorted(learned, key=lambda lesson: lesson.night or 0)}
    newest |= {_asks(lesson): lesson for lesson in due}
    return [lesson for lesson in learned if _asks(lesson) is None or newest[_asks(lesson)].id == lesson.id]


def contradicted(store: Store, persona: str, due: Sequence[Lesson]) -> dict[str, Lesson]:
    """By the id of a lesson that is due, the newest learned one that gave another answer to its question."""
    learned = sorted(store.lessons(persona, "learned"), key=lambda lesson: lesson.night or 0)
    by_question = {_asks(lesson): lesson for lesson in learned if _asks(lesson) and not lesson.cue}
    found = {lesson.id: by_question.get(_asks(lesson)) for lesson in due}
    return {id: other for id, other in found.items() if other is not None and other.id != id}


def _asks(lesson: Lesson) -> str | None:
    """What two lessons have in common that cannot both stand: a question, or a cue and the place of what it brings."""
    if lesson.cue:
        at, cue, place, _ = lesson.cue.split("|", 3)
        return f"{at}|{normalise(cue) or cue}|{place}"
    return normalise(lesson.question) if lesson.kind in ("answer", "unknown") and lesson.question else None


def same(store: Store, lessons: Sequence[Lesson]) -> bool:
    """Whether the store still holds these lessons, word for word and to be learned."""
    for lesson in lessons:
        try:
            held = store.lesson(lesson.id)
        except NotFound:
            return False
        as_it_was = replace(held, status=lesson.status, review=lesson.review)
        if held.status not in ("proposed", "approved") or as_it_was != lesson:
            return False
    return True


def _row(store: Store, experience: Experience, level: float, permission: Permission) -> dict[str, Any]:
    salience = experience.salience
    assert salience is not None
    chosen = False
    if not permission.allows(experience):
        why = f"{experience.authority} may not teach"
    elif salience.total < level:
        why = "below the threshold"
    elif (lesson := extract(experience, salience.total)) is None:
        why = "nothing was corrected or laid down in it"
    elif too_long(lesson):
        why = f"its question or its answer is too long for a lesson (more than {MOST} characters)"
    else:
        why, chosen = "became a lesson", True
        _keep(store, lesson)
    text = next((m["content"] for m in reversed(experience.messages) if m["role"] == "user"), "")
    return {
        "id": experience.id, "time": experience.time, "source": experience.source, "authority": experience.authority,
        "text": text[:200], "salience": to_dict(salience), "chosen": chosen, "why": why,
    }  # fmt: skip


def _keep(store: Store, lesson: Lesson) -> None:
    """A lesson heard before gains another experience; its wording and its status are a person's to change."""
    try:
        held = store.lesson(lesson.id)
    except NotFound:
        store.save_lesson(lesson)
        return
    said = [moment(one.time) for one in store.some_experiences(lesson.experiences)]
    if not held.experiences and max(said, default=0.0) < store.taught(held.persona)[held.id]:
        return  # taught since, once more maybe: it comes from nothing older
    store.edit_lesson(
        held.id,
        experiences=tuple(dict.fromkeys((*held.experiences, *lesson.experiences))),
        salience=max(held.salience, lesson.salience),
    )


def permitted(store: Store, lesson: Lesson, permission: Permission) -> bool:
    """Whether all that a lesson comes from may teach: its own authority, and every experience in its lineage."""
    if not lesson.experiences:
        return lesson.authority in permission.authorities
    return all(permission.allows(store.experience(id)) for id in lesson.experiences)
