"""After a night: the links over which its good scenes were walked to grow stronger, all others fade a little.

A scene was good if it was trained on and its lesson was learned, by an exam that did not ask it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from slowwave.experience.store import Store
from slowwave.records import Scene


def strengthen(store: Store, persona: str, night: int, scenes: Iterable[Scene]) -> None:
    """Writes into the memory graph what a night's walks were worth; once, however often it is called.

    Nothing changes in a night without good walks.

    Args:
        scenes: what the night dreamt.
    """
    learned = {lesson.id for lesson in store.lessons(persona, "learned") if lesson.night == night}
    good = [scene for scene in scenes if scene.walk and scene.split == "train" and scene.lesson in learned]
    if good:
        store.graph.walked(persona, {pair for scene in good for way in scene.ways for pair in pairwise(way)}, night)
