"""The memory graph in the store: rows of nodes and links, read as arrays. What they mean is in `memory`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Select, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from slowwave.experience.database import Database
from slowwave.experience.tables import experiences, lessons, links, nodes, statistics
from slowwave.memory.graph import KINDS, Graph, Links
from slowwave.records import Link, Node

BATCH = 500  # of the ids in one statement: SQLite takes some thousand parameters
GAIN = 0.2  # of what a link lacks to full weight, when a good scene was walked to over it
DECAY = 0.02  # of every link's weight, in a night with walks
CHANGES = "graph/changes"  # rows of the statistics, one a persona: how often nodes were renewed or taken away
LEAST = 0.05  # weight below which no link decays: what is seldom walked must still be found


class Held(NamedTuple):
    """A node as it is stored, with what linking needs to know of the record behind it."""

    number: int
    node: Node
    vector_D: np.ndarray | None
    source: str  # of an experience
    question: str  # of a lesson
    answer: str


class GraphStore:
    """The graph of every persona. Reached as `store.graph`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Iterable[tuple[Node, np.ndarray | None]], between: Iterable[Link]) -> None:
        """Adds nodes with their vectors_D, and links among stored nodes, in one transaction.

        What is there already stays as it is; a link to a node that is gone by now is left out. Raises StoreError.
        """
        with self._database.write() as connection:
            _add(connection, list(new), list(between))

    def renew(self, ids: Sequence[str], new: Iterable[tuple[Node, np.ndarray | None]], between: Iterable[Link]) -> None:
        """Adds as `add` does, where some of the nodes are there and say something else now: what they linked to, and
        what was like them or spoke against them, goes first; what others follow, correct or come from stays. Raises
        StoreError."""
        new = list(new)
        with self._database.write() as connection:
            number = _numbers(connection, set(ids))
            for some in _batches(list(number.values())):
                told = links.c.kind.in_(("similar", "contradicts"))
                connection.execute(delete(links).where(links.c.source.in_(some) | links.c.target.in_(some) & told))
            for node, vector_D in new:
                if node.id in number:
                    row = {name: _row(node, vector_D)[name] for name in ("text", "embedding")}
                    connection.execute(update(nodes).where(nodes.c.id == node.id).values(**row))
            _add(connection, new, list(between))
            unmentioned(connection)
            for persona in {node.persona for node, _ in new}:
                changed(connection, persona)

    def drop(self, ids: Sequence[str]) -> None:
        """Removes nodes with their links, and the people and things that nothing mentions any more."""
        with self._database.write() as connection:
            personas: set[str] = set()
            for some in _batches(ids):
                own = nodes.c.id.in_(some)
                personas |= set(connection.execute(select(nodes.c.persona).where(own)).scalars())
                connection.execute(delete(nodes).where(own))
            unmentioned(connection)
            for persona in personas:
                changed(connection, persona)

    def changes(self, persona: str) -> int:
        """How often nodes were renewed or taken away: who remembers nodes has to read them again then."""
        query = select(statistics.c.body).where(statistics.c.name == f"{CHANGES}/{persona}")
        with self._database.read() as connection:
            body = connection.execute(query).scalar()
        return body["count"] if body else 0

    def walked(self, persona: str, pairs: Iterable[tuple[str, str]], night: int) -> None:
        """Strengthens the links between pairs of nodes, whichever way they point, after all of the persona's decayed.

        Once for a night: what was written down already is not done again. Raises StoreError.
        """
        name = f"walked/{persona}"
        with self._database.write() as connection:
            before = connection.execute(select(statistics.c.body).where(statistics.c.name == name)).scalar()
            if before is not None and before["night"] >= night:
                return
            own = select(nodes.c.number).where(nodes.c.persona == persona)
            connection.execute(
                update(links)
                .where(links.c.source.in_(own), links.c.weight * (1 - DECAY) >= LEAST)
                .values(weight=links.c.weight * (1 - DECAY))
            )
            pairs = {(min(pair), max(pair)) for pair in pairs}
            number = _numbers(connection, {id for pair in pairs for id in pair})
            ends = [(number[one], number[other]) for one, other in pairs if one in number and other in number]
            if ends:
                query = (
                    update(links)
                    .where(links.c.source == bindparam("one"), links.c.target == bindparam("other"))
                    .values(weight=links.c.weight + GAIN * (1 - links.c.weight))
                )
                both = [*ends, *((other, one) for one, other in ends)]
                connection.execute(query, [{"one": one, "other": other} for one, other in both])
            connection.execute(delete(statistics).where(statistics.c.name == name))
            connection.execute(insert(statistics).values(name=name, body={"night": night}))

    def held(self, persona: str, after: int = 0) -> list[Held]:
        """The nodes with a number above `after`, in the order in which they came."""
        vector = func.coalesce(nodes.c.embedding, experiences.c.embedding).label("vector")
        query = (
            select(nodes, vector, experiences.c.source, lessons.c.question, lessons.c.answer)
            .outerjoin(experiences, experiences.c.id == nodes.c.experience)
            .outerjoin(lessons, lessons.c.id == nodes.c.lesson)
            .where(nodes.c.persona == persona, nodes.c.number > after)
            .order_by(nodes.c.number)
        )
        with self._database.read() as connection:
            return [
                Held(
                    row.number, _record(row), None if row.vector is None else np.frombuffer(row.vector, "<f4"),
                    row.source or "", row.question or "", row.answer or "",
                )
                for row in connection.execute(query)
            ]  # fmt: skip

    def load(self, persona: str) -> Graph:
        """The whole graph of a persona."""
        vector = func.coalesce(nodes.c.embedding, experiences.c.embedding).label("vector")
        of = select(nodes, vector).outerjoin(experiences, experiences.c.id == nodes.c.experience)
        between = select(links.c.source, links.c.target, links.c.kind, links.c.weight).join(
            nodes, nodes.c.number == links.c.source
        )
        with self._database.read() as connection:
            rows = connection.execute(of.where(nodes.c.persona == persona).order_by(nodes.c.number)).all()
            found = connection.execute(between.where(nodes.c.persona == persona)).all()
        size = max((len(row.vector) for row in rows if row.vector is not None), default=0) // 4
        vectors_N_D = np.zeros((len(rows), size), np.float32)
        for at, row in enumerate(rows):
            if row.vector is not None and len(row.vector) == 4 * size:  # not so after a change of embedder
                vectors_N_D[at] = np.frombuffer(row.vector, "<f4")
        number_N = np.array([row.number for row in rows], np.int64)
        code = {kind: at for at, kind in enumerate(KINDS)}
        source_L, target_L, kind_L, weight_L = zip(*found, strict=True) if found else ((), (), (), ())
        return Graph(
            tuple(_record(row) for row in rows),
            vectors_N_D,
            Links(
                np.searchsorted(number_N, np.array(source_L, np.int64)).astype(np.int32),
                np.searchsorted(number_N, np.array(target_L, np.int64)).astype(np.int32),
                np.array([code[kind] for kind in kind_L], np.uint8),
                np.array(weight_L, np.float32),
            ),
        )

    def changeable(self, persona: str) -> list[tuple[Node, bool]]:
        """The nodes that may no longer say what the store does, and whether there is a vector: lessons and what was
        made of them, and experiences that were amended. A lesson that was edited has none any more."""
        vector = func.coalesce(nodes.c.embedding, experiences.c.embedding)
        query = select(nodes, vector.is_not(None).label("embedded"))
        query = query.outerjoin(experiences, experiences.c.id == nodes.c.experience).where(
            nodes.c.persona == persona,
            nodes.c.kind.in_(("lesson", "reflection", "skill"))
            | ((nodes.c.kind == "experience") & experiences.c.embedding.is_(None)),
        )
        with self._database.read() as connection:
            return [(_record(row), bool(row.embedded)) for row in connection.execute(query)]

    def vectors(self, experience_ids: Sequence[str]) -> dict[str, np.ndarray]:
        """The vectors_D that experiences have already."""
        query = select(experiences.c.id, experiences.c.embedding).where(
            experiences.c.id.in_(experience_ids), experiences.c.embedding.is_not(None)
        )
        with self._database.read() as connection:
            return {row.id: np.frombuffer(row.embedding, "<f4") for row in connection.execute(query)}

    def unlinked(self, persona: str) -> tuple[list[str], list[str]]:
        """Ids of experiences and of lessons that have no node yet, oldest first."""
        lived: Select[Any] = select(experiences.c.id).outerjoin(nodes, nodes.c.experience == experiences.c.id)
        lived = lived.where(experiences.c.persona == persona, nodes.c.id.is_(None))
        taught: Select[Any] = select(lessons.c.id).outerjoin(nodes, nodes.c.lesson == lessons.c.id)
        taught = taught.where(lessons.c.persona == persona, nodes.c.id.is_(None), lessons.c.status != "refused")
        with self._database.read() as connection:
            return (
                list(connection.execute(lived.order_by(experiences.c.moment, experiences.c.id)).scalars()),
                list(connection.execute(taught.order_by(lessons.c.created, lessons.c.id)).scalars()),
            )


def derived(connection: Connection, ids: Iterable[str]) -> list[str]:
    """The reflections and skills that come from these nodes, and from those, and so on."""
    found: dict[str, None] = {}
    waiting = list(ids)
    other = nodes.alias()
    query = (
        select(other.c.id)
        .join(links, links.c.source == other.c.number)
        .join(nodes, nodes.c.number == links.c.target)
        .where(links.c.kind == "derived_from", other.c.kind.in_(("reflection", "skill")))
    )
    while waiting:
        more = connection.execute(query.where(nodes.c.id == waiting.pop())).scalars()
        new = [id for id in more if id not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return list(found)


def changed(connection: Connection, persona: str) -> None:
    """Counts that nodes of a persona were renewed or taken away."""
    name = f"{CHANGES}/{persona}"
    _insert(connection, statistics, [{"name": name, "body": {"count": 0}}])
    row = statistics.c.name == name
    count = connection.execute(select(statistics.c.body).where(row).with_for_update()).scalar_one()["count"]
    connection.execute(update(statistics).where(row).values(body={"count": count + 1}))


def unmentioned(connection: Connection) -> None:
    """Removes the people and things that nothing mentions any more."""
    mentioned = select(links.c.target).where(links.c.kind == "mentions")
    connection.execute(delete(nodes).where(nodes.c.kind == "entity", nodes.c.number.not_in(mentioned)))


def _row(node: Node, vector_D: np.ndarray | None) -> dict[str, Any]:
    ref = node.id.partition(":")[2]
    return {
        "id": node.id, "persona": node.persona, "kind": node.kind, "text": node.text, "time": node.time,
        "authority": node.authority,
        "embedding": None if vector_D is None or node.kind == "experience" else np.asarray(vector_D, "<f4").tobytes(),
        "experience": ref if node.kind == "experience" else None, "lesson": ref if node.kind == "lesson" else None,
    }  # fmt: skip


def _record(row: Any) -> Node:
    return Node(row.id, row.persona, row.kind, row.text, row.time, row.authority)


def _numbers(connection: Connection, ids: set[str]) -> dict[str, int]:
    every = sorted(ids)
    found: dict[str, int] = {}
    for some in _batches(every):
        query = select(nodes.c.id, nodes.c.number).where(nodes.c.id.in_(some))
        found |= {row.id: row.number for row in connection.execute(query)}
    return found


def _add(connection: Connection, new: Sequence[tuple[Node, np.ndarray | None]], between: Sequence[Link]) -> None:
    _insert(connection, nodes, [_row(node, vector_D) for node, vector_D in new])
    lived = [
        {"of": node.id.partition(":")[2], "vector": np.asarray(vector_D, "<f4").tobytes()}
        for node, vector_D in new
        if node.kind == "experience" and vector_D is not None
    ]
    if lived:  # an experience keeps its own vector: one that is amended loses it, and is linked anew
        query = update(experiences).where(experiences.c.id == bindparam("of"), experiences.c.embedding.is_(None))
        connection.execute(query.values(embedding=bindparam("vector")), lived)
    number = _numbers(connection, {id for link in between for id in (link.source, link.target)})
    rows = [
        {"source": number[one.source], "target": number[one.target], "kind": one.kind, "weight": one.weight}
        for one in between
        if one.source in number and one.target in number and one.source != one.target
    ]
    _insert(connection, links, rows)


def _batches(some: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (some[start : start + BATCH] for start in range(0, len(some), BATCH))


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    add = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    if rows:
        connection.execute(add(table).on_conflict_do_nothing(), rows)
