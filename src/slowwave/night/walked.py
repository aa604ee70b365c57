"""After a night: the links over which its good scenes were walked to grow stronger, all others fade a little.

A scene was good if it was trained on and its lesson was learned, by an exam that did not ask it; of a lesson that was
learned before and is taught once more, if it converged.
"""

from __future__ import annotations

from itertools import pairwise

from slowwave.experience.store import Store
from slowwave.night import folder as files
from slowwave.night.folder import NightFolder
from slowwave.records import Scene, from_dict


def strengthen(store: Store, night: NightFolder) -> None:
    """Writes into the memory graph what a night's walks were worth; once, however often it is called.

    Nothing changes in a night without good walks.
    """
    held = store.lessons(night.persona, "learned")
    learned = {lesson.id for lesson in held if lesson.night == night.number} | (
        _converged(night) & {o.id for o in held}
    )
    good = [scene for scene in _trained(night) if scene.walk and scene.lesson in learned]
    if good:
        pairs = {pair for scene in good for way in scene.ways for pair in pairwise(way)}
        store.graph.walked(night.persona, pairs, night.number)


def _trained(night: NightFolder) -> list[Scene]:
    """What was trained on: in a night of rounds some of what was dreamt for it."""
    scenes = [from_dict(Scene, row) for row in (night.read(files.SCENES) if night.has(files.SCENES) else [])]
    ids = {row["id"] for row in night.read(files.ROUNDS)} if night.has(files.ROUNDS) else None
    return [one for one in scenes if one.split == "train" and (ids is None or one.id in ids)]


def _converged(night: NightFolder) -> set[str]:
    """Earlier lessons that were taught once more, and that need no more."""
    if not night.has(files.EXAM) or night.read(files.VERDICT)["verdict"] != "promoted":
        return set()
    retried = night.read(files.DREAMS).get("retried", [])
    return set(retried).intersection(night.read(files.EXAM)["training"].get("converged") or [])
