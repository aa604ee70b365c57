"""Erasing an experience: what stays says it in the words of what stays."""

from __future__ import annotations

from dataclasses import dataclass

from slowwave.experience.store import Erased, Store
from slowwave.night.lessons import extract
from slowwave.records import Experience, Lesson

WORDS = ("note", "question", "answer")


@dataclass(frozen=True)
class Gone:
    """What went with an experience, and the records that hold its words, too: later ones of its conversation."""

    whole: Erased
    holding: list[str]


def erase(store: Store, experience: Experience) -> Gone:
    """Removes an experience and all that comes from it alone. A lesson that was heard again elsewhere stays, as it was
    said there; one that a person edited stays as it is. Raises NotFound, StoreError."""
    was = extract(experience)
    for lesson in store.lessons(experience.persona):
        if was is not None and lesson.id == was.id and experience.id in lesson.experiences:
            others = store.some_experiences([id for id in lesson.experiences if id != experience.id])
            found = [said for one in others if (said := extract(one)) is not None and said.id == lesson.id]
            if found and _words(lesson) == _words(was):
                store.edit_lesson(lesson.id, **_words(found[-1]))
    return Gone(store.erase(experience.id), _holding(store, experience))


def _words(lesson: Lesson) -> dict[str, str | None]:
    return {name: getattr(lesson, name) for name in WORDS}


def _holding(store: Store, erased: Experience) -> list[str]:
    """Every turn of a conversation is recorded with all that was said before it."""
    said = erased.messages
    later = store.experiences(erased.persona, since=erased.time)
    return [one.id for one in later if one.id != erased.id and one.messages[: len(said)] == said]
