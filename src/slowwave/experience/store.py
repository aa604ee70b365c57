"""The store of what was lived and what is to be learned: one SQLite file, or any database by SQLAlchemy URL.

    with Store(home) as store:                      # home folder, path of a .sqlite3 file, or a URL
        store.add(experience)                       # True; False if it is there already. An empty id gets one.
        store.add_many(experiences)                 # Added(new=..., duplicates=...), one transaction a few hundred
        store.experiences("default", min_total=0.5) # oldest first; limit=n gives the newest n
        store.experience("3f2a")                    # by id or by a prefix that only one has
        store.amend(id, outcome=..., messages=...)  # what followed became known: to be scored again
        store.unscored("default"); store.set_salience(id, salience)
        store.set_embedding(id, vector); ids, vectors_N_D = store.embeddings("default")
        store.save_lesson(lesson)                   # its experiences must be in the store; same id replaces
        store.lessons("default", status="approved"); store.lesson("9c1"); store.edit_lesson(id, answer="...")
        store.set_status(lesson_id, "learned", night=7)
        store.get_statistics("salience/default"); store.put_statistics("salience/default", {...})
        store.erase("3f2a")                         # with all that comes from it alone
    store.graph.load("default")                 # the memory graph: see `graph`
    store.personas(); store.add_persona("ann")  # adding an experience of a new persona adds the persona

One Store serves all threads of a process, and several processes may open the same file: each write is one short
transaction that waits up to ten seconds for the others. The store knows no model, no tensor and no HTTP.
Raises StoreError (locked, damaged, read-only), OutOfSpace, NotFound, UsageError (a name or field that cannot be).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, RowMapping, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from slowwave.errors import NotFound, UsageError
from slowwave.experience import tables
from slowwave.experience.database import Database, url_of
from slowwave.experience.graph import GraphStore, changed, derived, unmentioned
from slowwave.experience.rows import (
    experience_record,
    experience_row,
    lesson_record,
    lesson_row,
    moment,
    now,
    salience_row,
)
from slowwave.models.manifest import check_persona
from slowwave.records import Experience, Lesson, LessonStatus, Message, Outcome, Salience, to_dict

BATCH = 500  # rows a transaction: one fsync each, and a short hold of the write lock
LINKED = ("note", "question", "answer", "experiences")  # of a lesson: what its links are made of


class Added(NamedTuple):
    """How many experiences were new, and how many were there already."""

    new: int
    duplicates: int


class Erased(NamedTuple):
    """What went with an experience: the lessons that came from nothing else, and how many nodes of the graph."""

    lessons: list[Lesson]
    nodes: int


class Store:
    """Experiences, lessons, personas and running statistics; see the module's head."""

    def __init__(self, home_or_url: str | Path) -> None:
        self._database = Database(url_of(home_or_url))

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections; the store cannot be used afterwards."""
        self._database.close()

    @cached_property
    def graph(self) -> GraphStore:
        """The memory graph."""
        return GraphStore(self._database)

    # Experiences

    def add(self, experience: Experience) -> bool:
        """Stores an experience. False if its id is there already (nothing is changed then)."""
        return self.add_many([experience]).new == 1

    def add_many(self, experiences: Iterable[Experience]) -> Added:
        """Stores many, in transactions of a few hundred; may be fed from a generator."""
        new = seen = 0
        stream = iter(experiences)
        while batch := [experience_row(experience) for experience in islice(stream, BATCH)]:
            with self._database.write() as connection:
                for persona in {row["persona"] for row in batch}:
                    _insert_new(connection, tables.personas, {"name": persona, "created": now()})
                new += sum(_insert_new(connection, tables.experiences, row) for row in batch)
            seen += len(batch)
        return Added(new, seen - new)

    def experiences(
        self,
        persona: str | None = None,
        limit: int | None = None,
        since: str | None = None,
        min_total: float | None = None,
    ) -> list[Experience]:
        """Oldest first. `limit` keeps the newest, `since` is an ISO time, `min_total` drops the unscored too."""
        table = tables.experiences
        query = select(table)
        if persona is not None:
            query = query.where(table.c.persona == persona)
        if since is not None:
            query = query.where(table.c.moment >= _moment(since))
        if min_total is not None:
            query = query.where(table.c.total >= min_total)
        query = query.order_by(table.c.moment.desc(), table.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [experience_record(row) for row in reversed(connection.execute(query).mappings().all())]

    def experience(self, id: str) -> Experience:
        """By id, or by the beginning of one. Raises NotFound."""
        with self._database.read() as connection:
            return experience_record(_one(connection, tables.experiences, id, "experience"))

    def some_experiences(self, ids: Sequence[str]) -> list[Experience]:
        """Those of these ids that are stored, in their order."""
        table = tables.experiences
        found: dict[str, Experience] = {}
        with self._database.read() as connection:
            for start in range(0, len(ids), BATCH):
                query = select(table).where(table.c.id.in_(ids[start : start + BATCH]))
                found |= {row["id"]: experience_record(row) for row in connection.execute(query).mappings()}
        return [found[id] for id in ids if id in found]

    def erase(self, id: str) -> Erased:
        """Removes an experience and all that comes from it alone: lessons, and of the graph its node, theirs, what was
        made of them, and the people and things that nothing else mentions. Raises NotFound.

        What a night has made of it stays in that night's folder, and what it learned in its weights.
        """
        lineage = tables.lineage
        with self._database.write() as connection:
            row = _one(connection, tables.experiences, id, "experience")
            whole, persona = row["id"], row["persona"]
            mine = list(connection.execute(select(lineage.c.lesson).where(lineage.c.experience == whole)).scalars())
            connection.execute(delete(lineage).where(lineage.c.experience == whole))
            alone = [_get_lesson(connection, lesson) for lesson in mine]
            alone = [lesson for lesson in alone if not lesson.experiences]
            before = _count(connection, tables.nodes)
            made = derived(connection, [f"experience:{whole}", *(f"lesson:{lesson}" for lesson in mine)])
            connection.execute(delete(tables.nodes).where(tables.nodes.c.id.in_(made)))
            for lesson in alone:
                connection.execute(delete(tables.lessons).where(tables.lessons.c.id == lesson.id))
            connection.execute(delete(tables.experiences).where(tables.experiences.c.id == whole))
            unmentioned(connection)
            changed(connection, persona)
            return Erased(alone, before - _count(connection, tables.nodes))

    def unscored(self, persona: str) -> list[Experience]:
        """Those without salience, oldest first."""
        table = tables.experiences
        query = select(table).where(table.c.persona == persona, table.c.total.is_(None))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.moment, table.c.id)).mappings()
            return [experience_record(row) for row in rows]

    def set_salience(self, id: str, salience: Salience) -> None:
        """Raises NotFound, and ValueError for a NaN."""
        self._change(tables.experiences, id, "experience", salience_row(salience))

    def keep_scores(self, scores: Iterable[tuple[Experience, Salience, np.ndarray]]) -> int:
        """Salience and embedding of many, in one transaction; returns how many were kept.

        Scoring may take minutes. An experience that is gone by now is passed over, and so is one that was amended since
        it was read: its score is of what it no longer says, so it waits for another. One that was amended after it was
        linked is told by its missing vector, which it gets when it is linked anew, and not here.
        """
        table = tables.experiences
        kept = 0
        with self._database.write() as connection:
            for scored, salience, vector_D in scores:
                row = connection.execute(select(table).where(table.c.id == scored.id)).mappings().one_or_none()
                if row is None or not _says_the_same(experience_record(row), scored):
                    continue
                values = salience_row(salience)
                linked = select(tables.nodes.c.number).where(tables.nodes.c.experience == scored.id)
                if row["embedding"] is not None or connection.execute(linked).first() is None:
                    values["embedding"] = np.asarray(vector_D, "<f4").tobytes()
                connection.execute(update(table).where(table.c.id == scored.id).values(values))
                kept += 1
        return kept

    def amend(self, id: str, *, outcome: Outcome, messages: Iterable[Message] | None = None) -> None:
        """What followed an answer became known. Salience and embedding are dropped, to be computed again."""
        values = {**dict.fromkeys(f.name for f in dataclasses.fields(Salience)), "embedding": None}
        values["outcome"] = to_dict(outcome)
        if messages is not None:
            values["messages"] = list(messages)
        self._change(tables.experiences, id, "experience", values)

    def set_embedding(self, id: str, vector_D: np.ndarray) -> None:
        """Keeps the vector as float32, for novelty. Raises NotFound."""
        self._change(tables.experiences, id, "experience", {"embedding": np.asarray(vector_D, "<f4").tobytes()})

    def embeddings(self, persona: str) -> tuple[list[str], np.ndarray]:
        """Ids and their vectors_N_D (float32), oldest first; vectors of another size than the newest's are left out."""
        table = tables.experiences
        query = select(table.c.id, table.c.embedding).where(table.c.persona == persona, table.c.embedding.is_not(None))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.moment, table.c.id)).all()
        rows = [row for row in rows if len(row.embedding) == len(rows[-1].embedding)]  # after a change of embedder
        vectors = np.frombuffer(b"".join(row.embedding for row in rows), "<f4").reshape(len(rows), -1) if rows else None
        return [row.id for row in rows], np.zeros((0, 0), np.float32) if vectors is None else vectors

    # Lessons

    def save_lesson(self, lesson: Lesson) -> None:
        """Stores a lesson, or replaces the one of the same id. Raises NotFound if an experience of it is not stored.

        Where its words or experiences are others than before, it is to be linked anew.
        """
        with self._database.write() as connection:
            _put_lesson(connection, lesson)
            if not lesson.experiences:  # taught, maybe once more
                own = tables.lessons.c.id == lesson.id
                connection.execute(update(tables.lessons).where(own).values(created=now()))

    def lessons(self, persona: str | None = None, status: LessonStatus | None = None) -> list[Lesson]:
        """In the order in which they were first saved, or taught last."""
        table = tables.lessons
        query = select(table)
        if persona is not None:
            query = query.where(table.c.persona == persona)
        if status is not None:
            query = query.where(table.c.status == status)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.created, table.c.id)).mappings().all()
            lineage = _lineage(connection)
        return [lesson_record(row, lineage.get(row["id"], ())) for row in rows]

    def some_lessons(self, ids: Sequence[str]) -> list[Lesson]:
        """Those of these few ids that are stored."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.lessons).where(tables.lessons.c.id.in_(ids))).mappings().all()
            return [lesson_record(row, _lineage(connection, row["id"]).get(row["id"], ())) for row in rows]

    def taught(self, persona: str) -> dict[str, float]:
        """Lesson id -> when it was taught last, in seconds since 1970; of lessons that came from no experience."""
        lesson, lineage = tables.lessons, tables.lineage
        query = select(lesson.c.id, lesson.c.created).where(
            lesson.c.persona == persona, lesson.c.id.not_in(select(lineage.c.lesson))
        )
        with self._database.read() as connection:
            return {row.id: moment(row.created) for row in connection.execute(query)}

    def lesson(self, id: str) -> Lesson:
        """By id, or by the beginning of one. Raises NotFound."""
        with self._database.read() as connection:
            return _get_lesson(connection, id)

    def set_status(self, lesson_id: str, status: LessonStatus, night: int | None = None) -> None:
        """Moves a lesson on; `night` is kept where none is given, and a person's review is kept until the next.

        Raises NotFound.
        """
        values: dict[str, Any] = {"status": status}
        values |= {} if night is None else {"night": night}
        values |= {"review": status} if status in ("approved", "refused") else {}  # nobody else moves a lesson there
        self._change(tables.lessons, lesson_id, "lesson", values)

    def edit_lesson(self, id: str, /, **fields: Any) -> Lesson:
        """The lesson with some fields changed (not its id). A review was of the words as they were.

        Raises NotFound, UsageError for an unknown field.
        """
        unknown = set(fields) - {field.name for field in dataclasses.fields(Lesson)} | ({"id"} & set(fields))
        if unknown:
            raise UsageError(f"A lesson has no field to edit named {sorted(unknown)[0]!r}.", "See `slowwave lessons`.")
        with self._database.write() as connection:  # one transaction: what another changes meanwhile is not lost
            unsaid = {"review": None} if {"question", "answer"} & fields.keys() else {}
            changed = dataclasses.replace(_get_lesson(connection, id), **(unsaid | fields))
            _put_lesson(connection, changed)
        return changed

    # Statistics and personas

    def get_statistics(self, name: str) -> dict[str, Any]:
        """What was put there last; empty if nothing was."""
        query = select(tables.statistics.c.body).where(tables.statistics.c.name == name)
        with self._database.read() as connection:
            return connection.execute(query).scalar() or {}

    def put_statistics(self, name: str, body: dict[str, Any]) -> None:
        """Replaces what is kept under the name."""
        table = tables.statistics
        with self._database.write() as connection:
            if not _insert_new(connection, table, {"name": name, "body": body}):
                connection.execute(update(table).where(table.c.name == name).values(body=body))

    def personas(self) -> list[str]:
        """All names, sorted; "default" is always one."""
        with self._database.read() as connection:
            return list(connection.execute(select(tables.personas.c.name).order_by(tables.personas.c.name)).scalars())

    def add_persona(self, name: str) -> bool:
        """False if it is there already. Raises UsageError for a name that cannot be one."""
        with self._database.write() as connection:
            return _insert_new(connection, tables.personas, {"name": check_persona(name), "created": now()})

    def _change(self, table: Table, id: str, kind: str, values: dict[str, Any]) -> None:
        with self._database.write() as connection:
            whole = _one(connection, table, id, kind)["id"]
            connection.execute(update(table).where(table.c.id == whole).values(values))


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar() or 0


def _insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return connection.execute(insert(table).values(row).on_conflict_do_nothing()).rowcount == 1


def _one(connection: Connection, table: Table, id: str, kind: str) -> RowMapping:
    exact = connection.execute(select(table).where(table.c.id == id)).mappings().one_or_none()
    if exact:
        return exact
    query = select(table).where(table.c.id.startswith(id, autoescape=True)).limit(2)
    rows = connection.execute(query).mappings().all() if id else []
    if not rows:
        raise NotFound(f"There is no {kind} {id!r}.", f"`slowwave {kind}s` lists them.")
    if len(rows) > 1:
        raise NotFound(f"More than one {kind} begins with {id!r}.", "Give more of the id.")
    return rows[0]


def _says_the_same(one: Experience, other: Experience) -> bool:
    return one.messages == other.messages and one.outcome == other.outcome


def _get_lesson(connection: Connection, id: str) -> Lesson:
    row = _one(connection, tables.lessons, id, "lesson")
    return lesson_record(row, _lineage(connection, row["id"]).get(row["id"], ()))


def _put_lesson(connection: Connection, lesson: Lesson) -> None:
    row = lesson_row(lesson)
    _insert_new(connection, tables.personas, {"name": lesson.persona, "created": now()})
    if not _insert_new(connection, tables.lessons, {**row, "created": now()}):
        before = _get_lesson(connection, lesson.id)
        connection.execute(update(tables.lessons).where(tables.lessons.c.id == lesson.id).values(row))
        if any(getattr(before, name) != getattr(lesson, name) for name in LINKED):
            node = update(tables.nodes).where(tables.nodes.c.lesson == lesson.id)
            connection.execute(node.values(embedding=None))
    connection.execute(delete(tables.lineage).where(tables.lineage.c.lesson == lesson.id))
    for place, id in enumerate(dict.fromkeys(lesson.experiences)):
        whole = _one(connection, tables.experiences, id, "experience")["id"]
        link = {"lesson": lesson.id, "experience": whole, "place": place}
        connection.execute(tables.lineage.insert().values(link))


def _lineage(connection: Connection, lesson: str | None = None) -> dict[str, tuple[str, ...]]:
    table = tables.lineage
    query = select(table.c.lesson, table.c.experience).order_by(table.c.lesson, table.c.place)
    found: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(query if lesson is None else query.where(table.c.lesson == lesson)):
        found[row.lesson] = (*found.get(row.lesson, ()), row.experience)
    return found


def _moment(time: str) -> float:
    try:
        return moment(time)
    except ValueError:
        raise UsageError(f"{time!r} is no time.", "Give it as 2026-03-01 or 2026-03-01T09:00:00Z.") from None
