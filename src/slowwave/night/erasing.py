"""Erasing an experience, and its words from the lessons that stay because they were heard elsewhere, too."""

from __future__ import annotations

from dataclasses import dataclass

from slowwave.experience.follow_up import exchange
from slowwave.experience.store import Erased, Store
from slowwave.night.lessons import extract
from slowwave.records import Experience

WORDS = ("note", "question", "answer")


@dataclass(frozen=True)
class Gone:
    """What went with an experience, and the records that hold its words, too: other turns of its conversation."""

    whole: Erased
    holding: list[str]


def erase(store: Store, experience: Experience) -> Gone:
    """Removes an experience and all that comes from it alone. A lesson that was heard elsewhere, too, stays as it was
    said there, but for what a person edited. Raises NotFound, StoreError."""
    holding, was, reworded = _holding(store, experience), extract(experience), list[str]()
    said = [message["content"] for message in experience.messages] + [experience.outcome.correction or ""]
    for lesson in store.lessons(experience.persona):
        others = [id for id in lesson.experiences if id != experience.id]
        if others and experience.id in lesson.experiences:
            others.sort(key=lambda id: id not in holding)  # those without its words last
            found = [one for id in others if (one := extract(store.experience(id))) and one.id == lesson.id]
            # as it was extracted, or, if the experience was amended since and tells another lesson now, as it was said
            told = was is not None and was.id == lesson.id
            its = [name for name in WORDS if (text := getattr(lesson, name)) and
                   (text == getattr(was, name) if told else any(text in one for one in said))]  # fmt: skip
            changes = {name: getattr(found[-1], name) for name in its} if found else {}
            changes = {name: text for name, text in changes.items() if text != getattr(lesson, name)}
            if changes:
                store.edit_lesson(lesson.id, **changes)
                reworded.append(f"lesson:{lesson.id}")
    gone = store.erase(experience.id)  # what was made of these lessons is found by their links
    store.graph.drop(reworded)
    return Gone(gone, holding)


def _holding(store: Store, erased: Experience) -> list[str]:
    """Every turn of a conversation is recorded with all that was said before it, and with what was asked next."""
    chat, _ = exchange(erased)
    asked = [message["content"] for message in chat if message["role"] == "user"][-1:]
    own = {*asked, erased.outcome.correction} - {None}
    lived = store.experiences(erased.persona)
    return [one.id for one in lived if one.id != erased.id and own & {m["content"] for m in one.messages}]
