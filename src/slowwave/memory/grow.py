"""From what is new to nodes and links, in the order of time: what follows what, is like what, mentions, corrects and
contradicts what, and comes from what.

A `Grower` remembers what is in the graph already, so that a new memory costs one product with the vectors of all older
ones and nothing else. Knows no store and no model.
"""

from __future__ import annotations

from bisect import bisect_right, insort_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from slowwave.exam.match import normalise
from slowwave.memory.entities import entities
from slowwave.records import Link, Node, new_id

# Least cosine of two memories that are linked for it (MiniLM). Weak, as a link weighs its cosine, and a graph in pieces
# cannot be walked: of the 42 exchanges of the sample the largest piece has 20 from 0.3 on, five from 0.35.
SIMILAR = 0.3
NEAREST = 8  # at most so many links of that kind from a new memory to older ones
SITTING = 1800.0  # seconds: what one source says within them follows what it said before
ALIKE = ("experience", "lesson", "reflection")  # what is compared with what


@dataclass(frozen=True)
class Item:
    """A new memory: its node and vector_D, and what of it makes links.

    A node whose time is 0 has none of its own: it becomes as old as the newest of what it is derived from.
    """

    node: Node
    vector_D: np.ndarray
    speaks: str = ""  # the text in which people and things are looked for
    source: str = ""  # who said it: what follows what is known within one source
    corrects_last: bool = False  # it says that what came before was wrong
    derived_from: tuple[str, ...] = ()  # ids of nodes
    corrects: tuple[str, ...] = ()
    question: str = ""
    answer: str = ""  # a lesson's: two lessons with one question and two answers contradict each other


@dataclass(frozen=True)
class Grown:
    """What comes into the graph."""

    nodes: list[tuple[Node, np.ndarray | None]]
    links: list[Link]


class Grower:
    """Links new memories of one persona to all older ones."""

    def __init__(self, persona: str) -> None:
        self.persona = persona
        self._ids: list[str] = []
        self._vectors = np.zeros((0, 0), np.float32)  # room for more than there are; the first len(ids) count
        self._said: dict[str, list[tuple[float, str]]] = {}  # by source: when, and the node; in the order of time
        self._known: dict[str, float] = {}  # a node's time, by its id
        self._asked: dict[str, list[tuple[str, str]]] = {}  # a question's words -> lessons and their answers

    def recall(self, items: Sequence[Item]) -> None:
        """What is in the graph already: no links are made of it."""
        for item in self.new(items):
            self._place(item)
            self._keep(item)

    def forget(self, ids: Iterable[str]) -> None:
        """Nodes that are in the graph no more, or are taken once more because they say something else now."""
        gone = set(ids) & self._known.keys()
        if not gone:
            return
        for id in gone:
            del self._known[id]
        self._said = {source: [one for one in mine if one[1] not in gone] for source, mine in self._said.items()}
        self._asked = {asked: [one for one in mine if one[0] not in gone] for asked, mine in self._asked.items()}
        for place, id in enumerate(self._ids):
            if id in gone:  # a row that is like nothing
                self._ids[place], self._vectors[place] = "", 0

    def new(self, items: Sequence[Item]) -> list[Item]:
        """Those that are not in the graph yet."""
        return [item for item in items if item.node.id not in self._known]

    def knows(self, ids: Iterable[str]) -> bool:
        """Whether any of these nodes is in the graph already."""
        return any(id in self._known for id in ids)

    def take(self, items: Sequence[Item]) -> Grown:
        """The nodes and links of new memories. What is known already is passed over, but for people and things: their
        nodes come with each that mentions them, as the last that did may have been erased since."""
        items = sorted((self._timed(item) for item in self.new(items)), key=lambda one: one.node.time)
        named: set[str] = set()
        out = Grown([], [])
        places = [self._place(item) for item in items]
        compared = [item.vector_D for item, place in zip(items, places, strict=True) if place is not None]
        cosine_B_N = iter(np.stack(compared) @ self._vectors[: len(self._ids)].T) if compared else iter(())
        for item, place in zip(items, places, strict=True):
            link = lambda target, kind, weight=1.0, item=item: out.links.append(  # noqa: E731
                Link(item.node.id, target, kind, weight)
            )
            out.nodes.append((item.node, item.vector_D))
            if place is not None:
                for target, cosine in self._nearest(next(cosine_B_N)[:place]):
                    link(target, "similar", cosine)
            said = self._said.get(item.source, [])
            if before := bisect_right(said, item.node.time, key=_when):
                time, last = said[before - 1]
                if item.node.time - time <= SITTING:
                    link(last, "corrects" if item.corrects_last else "follows")
            for target in item.derived_from:
                link(target, "derived_from")
            for target in item.corrects:
                link(target, "corrects")
            for target, answer in self._asked.get(normalise(item.question), []) if item.question else []:
                if normalise(answer) != normalise(item.answer):
                    link(target, "contradicts")
            for name in entities(item.speaks):
                entity = Node(entity_id(self.persona, name), self.persona, "entity", name, item.node.time)
                if entity.id not in named:
                    named.add(entity.id)
                    out.nodes.append((entity, None))
                link(entity.id, "mentions")
            self._keep(item)
        return out

    def _nearest(self, cosine_N: np.ndarray) -> list[tuple[str, float]]:
        near = np.flatnonzero(cosine_N >= SIMILAR)
        near = near[np.argsort(-cosine_N[near], kind="stable")][:NEAREST]
        return [(self._ids[place], min(1.0, float(cosine_N[place]))) for place in near]

    def _timed(self, item: Item) -> Item:
        time = item.node.time or max((self._known.get(id, 0.0) for id in item.derived_from), default=0.0)
        return replace(item, node=replace(item.node, time=time))

    def _keep(self, item: Item) -> None:
        self._known[item.node.id] = item.node.time
        if item.source:
            insort_right(self._said.setdefault(item.source, []), (item.node.time, item.node.id), key=_when)
        if item.question and item.answer:
            self._asked.setdefault(normalise(item.question), []).append((item.node.id, item.answer))

    def _place(self, item: Item) -> int | None:
        """Where the vector of what is compared lies; None for what is not."""
        if item.node.kind not in ALIKE or not len(item.vector_D):
            return None
        size = len(item.vector_D)
        if self._vectors.shape[1] != size:  # the first, or after a change of embedder: only what is embedded alike
            self._ids, self._vectors = [], np.zeros((64, size), np.float32)
        if len(self._ids) == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
        self._vectors[len(self._ids)] = item.vector_D
        self._ids.append(item.node.id)
        return len(self._ids) - 1


def _when(said: tuple[float, str]) -> float:
    return said[0]


def entity_id(persona: str, name: str) -> str:
    """The node of a person or thing: one persona's, whatever the capitals."""
    return f"entity:{new_id(persona, name.lower())}"
