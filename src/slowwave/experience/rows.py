"""Between the records and the rows of the tables. Knows no connection."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from slowwave.models.manifest import check_persona
from slowwave.records import Check, Experience, Lesson, Outcome, Salience, from_dict, new_id, to_dict

FIVE = ("surprise", "novelty", "arousal", "reward", "conflict")
NUMBERS = (*FIVE, "total", "valence")


def now() -> str:
    """This moment as ISO 8601, UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def moment(time: str) -> float:
    """Seconds since 1970 of an ISO 8601 time; one without a zone is UTC. Raises ValueError."""
    parsed = datetime.fromisoformat(time)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def content_id(experience: Experience, *, with_time: bool) -> str:
    """The id of an exchange that came without one: the same content (at the same time, if known) has the same id."""
    time = moment(experience.time) if with_time else None
    return new_id(experience.persona, experience.source, experience.messages, to_dict(experience.outcome), time)


def experience_row(experience: Experience) -> dict[str, Any]:
    """The row of an experience; an empty id is replaced by the id of its content."""
    row = {
        "id": experience.id or content_id(experience, with_time=True),
        "persona": check_persona(experience.persona),
        "source": experience.source,
        "authority": experience.authority,
        "time": experience.time,
        "moment": moment(experience.time),
        "messages": list(experience.messages),
        "outcome": to_dict(experience.outcome),
        "adapter": experience.adapter,
    }
    empty = {**dict.fromkeys(NUMBERS), "reasons": None}
    return row | (salience_row(experience.salience) if experience.salience else empty)


def salience_row(salience: Salience) -> dict[str, Any]:
    """The columns of a salience. Raises ValueError for a number that is not one (SQLite would store NaN as NULL)."""
    row = to_dict(salience)
    if not all(math.isfinite(row[name]) for name in NUMBERS):
        raise ValueError(f"salience is not finite: {row}")
    return row


def experience_record(row: RowMapping) -> Experience:
    """The experience of a row."""
    salience = None
    if row["total"] is not None:
        salience = Salience(**{name: row[name] for name in NUMBERS}, reasons=row["reasons"] or {})
    return Experience(
        id=row["id"],
        persona=row["persona"],
        source=row["source"],
        time=row["time"],
        messages=tuple(row["messages"]),
        outcome=from_dict(Outcome, row["outcome"]),
        authority=row["authority"],
        salience=salience,
        adapter=row["adapter"],
    )


def lesson_row(lesson: Lesson) -> dict[str, Any]:
    """The row of a lesson, without its lineage and its time of creation."""
    check_persona(lesson.persona)
    row = to_dict(lesson)
    del row["experiences"]
    return row


def lesson_record(row: RowMapping, experiences: tuple[str, ...]) -> Lesson:
    """The lesson of a row and of the experiences it came from."""
    fields = {key: value for key, value in row.items() if key not in ("created", "check")}
    return Lesson(**fields, check=from_dict(Check, row["check"]), experiences=experiences)
