"""Which memories a lesson is collided with: those that a walk over the memory graph comes to, far from the lesson.

The graph is read as a latent space and a random walk with restart as sampling from it (`memory.graph`). How far a walk
goes before it starts again is its breadth; walks of all breadths are made, and the way of each is kept, so that a
night's rounds can begin with the broad ones.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from slowwave.dream.filters import Embeds
from slowwave.exam.match import normalise
from slowwave.records import Authority, Lesson, Scene, least

if TYPE_CHECKING:
    from slowwave.memory.graph import Graph

STEPS = 60  # of a walk
BROAD, NARROW = 0.05, 0.5  # a walk's chance to begin again at each step: the lower, the further it comes
FAR = 0.6  # cosine above which two are about the same thing
AT_ONCE = 3  # memories that a lesson is collided with, at most


@dataclass(frozen=True)
class Memory:
    """One exchange that may be dreamt of: what was asked, and what was or should have been answered."""

    node: str  # of the graph
    question: str
    answer: str
    experiences: tuple[str, ...] = ()
    authority: Authority = "unknown"
    about: tuple[str, ...] = ()  # what it speaks of, where its question does not say: of what was made of lessons


@dataclass(frozen=True)
class Collision:
    """A memory that a walk came to, and the nodes it came by, the lesson's first."""

    memory: Memory
    path: tuple[str, ...] = ()


def collided(scene: Scene, met: Sequence[Collision]) -> Scene:
    """The scene with what it was collided with: the ways to it, its lineage, and the least authority of all."""
    memories = [one.memory for one in met]
    return replace(
        scene, walk=tuple(node for one in met for node in one.path),
        lineage=tuple(dict.fromkeys((*scene.lineage, *(id for m in memories for id in m.experiences)))),
        authority=least(scene.authority, *(m.authority for m in memories)),
    )  # fmt: skip


class Collider:
    """Finds partners for lessons among memories."""

    def __init__(self, memories: Sequence[Memory], embedder: Embeds, graph: Graph | None = None) -> None:
        """Without a graph every memory is as likely."""
        self.memories, self.embedder, self.graph = list(memories), embedder, graph
        self._at = {memory.node: at for at, memory in enumerate(self.memories)}
        texts = [memory.about or (memory.question,) for memory in self.memories]
        every_T_D = embedder.embed([text for some in texts for text in some]) if texts else np.zeros((0, 1), np.float32)
        self._about = np.split(every_T_D, np.cumsum([len(some) for some in texts])[:-1]) if texts else []

    def groups(
        self, lesson: Lesson, count: int, rng: np.random.Generator, held: Collection[str] = ()
    ) -> list[list[Collision]]:
        """`count` groups of up to three memories that are far apart, other ones as long as there are other ones; empty
        groups without any.

        Args:
            held: what the exam asks, normalised, which no memory may ask before it.
        """
        free = {at for at in self._free(lesson) if normalise(self.memories[at].question) not in held}
        found: list[Collision] = []
        out: list[list[Collision]] = []
        while free and len(out) < count:
            group = self._apart(found, [])
            if len(group) < AT_ONCE:
                found += self._partners(lesson, free, 8, rng)
                group = self._apart(found, group)
            out.append(group)
        return out + [[] for _ in range(count - len(out))]

    def _apart(self, found: list[Collision], group: list[Collision]) -> list[Collision]:
        """The group and what was taken for it out of `found`: what is far from all others in it."""
        about = lambda one: self._about[self._at[one.memory.node]]  # noqa: E731
        for one in list(found):
            if len(group) < AT_ONCE and all(float((about(one) @ about(other).T).max()) < FAR for other in group):
                group = [*group, one]
                found.remove(one)
        return group

    def _free(self, lesson: Lesson) -> set[int]:
        """The memories that the lesson does not come from, and that are not about the same thing."""
        if not self.memories:
            return set()
        asked_D = self.embedder.embed([lesson.question or lesson.note])[0]
        near_M = [float((vectors @ asked_D).max()) for vectors in self._about]
        own = set(lesson.experiences)
        return {
            at for at, memory in enumerate(self.memories)
            if near_M[at] < FAR and memory.node != f"lesson:{lesson.id}" and not own & set(memory.experiences)
        }  # fmt: skip

    def _partners(self, lesson: Lesson, free: set[int], count: int, rng: np.random.Generator) -> list[Collision]:
        """Up to `count` different memories that one walk comes to."""
        found = self._walked(lesson, free, rng)
        order = list(found)
        chosen = [order[i] for i in rng.permutation(len(order))[:count]]
        rest = sorted(free - set(chosen))
        if len(chosen) < count and rest:  # a lesson that hardly anything is linked to meets others by chance
            chosen += [rest[i] for i in rng.permutation(len(rest))[: count - len(chosen)]]
        return [Collision(self.memories[at], found.get(at, ())) for at in chosen]

    def _walked(self, lesson: Lesson, free: set[int], rng: np.random.Generator) -> dict[int, tuple[str, ...]]:
        """Memories that a walk visits, each with the way to it since the walk last began."""
        graph, start = self.graph, f"lesson:{lesson.id}"
        if graph is None or start not in graph.place:
            return {}
        out: dict[int, tuple[str, ...]] = {}
        path: list[str] = []
        first = graph.place[start]
        restart = float(np.exp(rng.uniform(np.log(BROAD), np.log(NARROW))))
        for place in graph.walk(first, STEPS, rng, restart):
            path = [start] if place == first else [*path, graph.nodes[place].id]
            at = self._at.get(path[-1])
            if at is not None and at in free:
                out.setdefault(at, tuple(path))
        return out
