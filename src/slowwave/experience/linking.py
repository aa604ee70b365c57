"""Brings the memory graph up to what the store holds: new experiences and lessons are linked to the older ones, and
what a night taught becomes a reflection and skills.

What has changed since it was linked (a follow-up came, a lesson was edited, a night undone) is linked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from slowwave.experience.items import consolidated, line, of_experience, of_lesson
from slowwave.experience.salience import Embeds, gist
from slowwave.experience.store import Store
from slowwave.memory.grow import Grower, Item
from slowwave.records import Lesson

BATCH = 256  # memories a transaction: what an interruption loses is linked at the next time


class Linker:
    """Links what one persona's store gains. Keep one as long as a process runs: it remembers what it has read."""

    def __init__(self, store: Store, embedder: Embeds, persona: str) -> None:
        self.store, self.embedder, self.persona = store, embedder, persona
        self._grower = Grower(persona)
        self._read = 0  # the highest number of a node that the grower knows
        self._changes = 0  # of nodes, as far as the grower knows of them

    def link(self, progress: Callable[[int, int], None] = lambda done, of: None) -> int:
        """Links all that is new; returns how many experiences and lessons that was. Raises StoreError.

        Args:
            progress: called with how many are done, and of how many. Raising from it stops between batches.
        """
        if (changes := self.store.graph.changes(self.persona)) != self._changes:  # another process's
            self._grower, self._read, self._changes = Grower(self.persona), 0, changes
        lessons = self._standing()
        due = consolidated(lessons.values())
        stale, amended = self._changed(lessons, {item.node.id for item in due})
        if stale:
            self.store.graph.drop(stale)
            self._changes += 1
        self._refresh()
        self._grower.forget([*stale, *amended])
        lived, taught = self.store.graph.unlinked(self.persona)
        if self._grower.knows([f"experience:{id}" for id in lived] + [f"lesson:{id}" for id in taught]):
            self._grower, self._read = Grower(self.persona), 0  # erased by another process, and here once more
            self._refresh()
        of = len(amended) + len(lived) + len(taught)
        if amended:
            ids = [id.partition(":")[2] for id in amended]
            edited = self._lessons([lessons[id] for id in ids if id in lessons])
            grown = self._grower.take([*self._experiences([id for id in ids if id not in lessons]), *edited])
            self.store.graph.renew(amended, grown.nodes, grown.links)
            self._changes += 1
            progress(len(amended), of)
        for start in range(0, len(lived), BATCH):
            self._take(self._experiences(lived[start : start + BATCH]))
            progress(len(amended) + min(start + BATCH, len(lived)), of)
        lessons = self._standing()  # to link what was lived may have taken long
        self._take(self._lessons([lessons[id] for id in taught if id in lessons]))
        self._take(self._embedded(self._grower.new(due)))
        if of:
            progress(of, of)
        return of

    def _standing(self) -> dict[str, Lesson]:
        return {one.id: one for one in self.store.lessons(self.persona) if one.status != "refused"}

    def _changed(self, lessons: dict[str, Lesson], due: set[str]) -> tuple[list[str], list[str]]:
        """Nodes of what the store does not hold any more, and those of experiences that were amended and lessons that
        were edited or heard again: what came from these, or after them, stays linked to them."""
        stale, amended = list[str](), list[str]()
        for node, embedded in self.store.graph.changeable(self.persona):
            lesson = lessons.get(node.id.partition(":")[2]) if node.kind == "lesson" else None
            if node.kind == "experience" or lesson is not None:
                says_it = embedded and (lesson is None or node.text == line(lesson.note))
                amended += [] if says_it else [node.id]
            elif node.id not in due:
                stale.append(node.id)
        return stale, amended

    def _refresh(self) -> None:
        """Reads what was linked by other processes, and by this one."""
        held = self.store.graph.held(self.persona, after=self._read)
        nothing = np.zeros(0, np.float32)
        self._grower.recall(
            [
                Item(one.node, nothing if one.vector_D is None else one.vector_D, source=one.source,
                     question=one.question, answer=one.answer)
                for one in held
            ]
        )  # fmt: skip
        self._read = held[-1].number if held else self._read

    def _take(self, items: Sequence[Item]) -> None:
        grown = self._grower.take(items)
        self.store.graph.add(grown.nodes, grown.links)

    def _experiences(self, ids: Sequence[str]) -> list[Item]:
        lived, vectors = self.store.some_experiences(ids), self.store.graph.vectors(ids)
        new = [one for one in lived if one.id not in vectors]
        if new:
            vectors |= dict(zip([one.id for one in new], self.embedder.embed([gist(one) for one in new]), strict=True))
        return [replace(of_experience(one), vector_D=vectors[one.id]) for one in lived]

    def _lessons(self, lessons: Sequence[Lesson]) -> list[Item]:
        return self._embedded(
            [of_lesson(lesson, self.store.some_experiences(lesson.experiences)) for lesson in lessons]
        )

    def _embedded(self, items: Sequence[Item]) -> list[Item]:
        vectors = self.embedder.embed([item.speaks for item in items]) if items else ()
        return [replace(item, vector_D=vector_D) for item, vector_D in zip(items, vectors, strict=True)]
