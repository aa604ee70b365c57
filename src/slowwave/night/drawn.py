"""What a night draws on: its lessons and scenes, those of earlier nights, and the memories that lessons may meet, as
far as the store still holds all that they come from and it may teach.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from slowwave.config import Settings
from slowwave.dream.collide import Memory
from slowwave.exam.match import normalise
from slowwave.experience.authority import Permission
from slowwave.experience.store import Store
from slowwave.night import folder as files
from slowwave.night import past
from slowwave.night.folder import NightFolder
from slowwave.night.gather import contradicted, permitted
from slowwave.night.memories import memories
from slowwave.records import Lesson, Scene, from_dict


class Drawn:
    """Reads for the phases of one night, from its folder, from earlier ones, and from the store."""

    def __init__(self, home: Path, store: Store, night: NightFolder, settings: Settings) -> None:
        self.home, self.store, self.night, self.settings = home, store, night, settings
        self.permission = Permission(tuple(settings.night.permitted))

    def lessons(self, key: str = "lessons") -> list[Lesson]:
        """Tonight's lessons, or the "earlier" ones that are in force and may still teach: after a crash something may
        have been erased."""
        found = [from_dict(Lesson, row) for row in self.night.read(files.LESSONS)[key]]
        if key == "lessons":
            return found
        held = {lesson.id: lesson for lesson in self.store.lessons(self.night.persona)}
        return [one for one in found if one.id in held and permitted(self.store, held[one.id], self.permission)]

    def scenes(self) -> tuple[list[Scene], list[Scene]]:
        """Tonight's scenes, and those of earlier lessons (of earlier nights, or dreamed again tonight)."""
        earlier = self.lessons("earlier")
        ids = {lesson.id for lesson in earlier} - self.again()
        tonight = [from_dict(Scene, row) for row in self.night.read(files.SCENES)]
        again = [scene for scene in tonight if scene.lesson in ids]
        return [scene for scene in tonight if scene.lesson not in ids], [*self.remembered(earlier), *again]

    def remembered(self, lessons: Sequence[Lesson]) -> list[Scene]:
        """The scenes of earlier nights' lessons, but for those with a memory in them that was erased since or may no
        longer teach: a lesson stands by its own experiences, not by what it was collided with."""
        own = {id for lesson in lessons for id in lesson.experiences}
        return self.standing(past.scenes_of(self.home, lessons), own)

    def standing(self, scenes: Sequence[Scene], own: AbstractSet[str] = frozenset()) -> list[Scene]:
        """The scenes whose whole lineage, but for `own`, is still in the store and may teach."""
        met = sorted({id for scene in scenes for id in scene.lineage} - own)
        allowed = {one.id for one in self.store.some_experiences(met) if self.permission.allows(one)} | own
        return [scene for scene in scenes if set(scene.lineage) <= allowed]

    def memories(self) -> list[Memory]:
        """What lessons may be collided with, if they are collided at all."""
        if not (self.settings.dream.collided or self.settings.dream.written):
            return []
        return memories(self.store, self.night.persona, self.permission)

    def older(self, lessons: Sequence[Lesson]) -> dict[str, Lesson]:
        """By the id of a lesson the learned one that it contradicts, where that may teach."""
        found = contradicted(self.store, self.night.persona, lessons)
        return {id: one for id, one in found.items() if permitted(self.store, one, self.permission)}

    def retried(self, learned: Sequence[Lesson]) -> list[Lesson]:
        """Of these learned lessons those that have not converged in their budget and are taught once more, the least
        often tried first: where tonight's lessons leave room, and no oftener than a night tries any lesson."""
        room = self.settings.night.max_lessons - len(self.lessons())
        if self.settings.dream.rounds == 1 or room <= 0:
            return []
        tries = past.unconverged(self.home, self.night.persona, learned)
        open_ = [one for one in learned if 0 < tries.get(one.id, 0) < self.settings.night.attempts]
        return sorted(open_, key=lambda one: tries[one.id])[:room]

    def again(self) -> set[str]:
        """Ids of the learned lessons that are taught once more tonight; nights of older versions had none."""
        return set(self.night.read(files.DREAMS).get("retried", []))

    def more(self, retried: Sequence[Lesson]) -> dict[str, float]:
        """By id, how many times the usual scenes tonight's lessons get that were tried before, and the retried ones."""
        tries = past.unconverged(self.home, self.night.persona, retried)
        return past.more(self.home, self.store, self.lessons()) | {id: past.times(n) for id, n in tries.items()}


def separate(scenes: list[Scene], earlier: list[Scene]) -> list[Scene]:
    """The scenes without any training one that is an exam's question, tonight's or an earlier night's."""
    asked = exam_questions([*scenes, *earlier])
    return [scene for scene in scenes if scene.split == "exam" or said(scene) not in asked]


def exam_questions(scenes: Sequence[Scene]) -> set[str]:
    """What the exam asks, normalised."""
    return {said(scene) for scene in scenes if scene.split == "exam"}


def said(scene: Scene) -> str:
    """A scene's message, normalised."""
    return normalise(scene.messages[-1]["content"])
