"""What a night may dream of beside its lessons: the exchanges and lessons of a persona that may be used at all, and
what its newest nights made of them, reflections and skills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slowwave.dream.collide import Memory
from slowwave.exam.match import normalise
from slowwave.experience.authority import Permission
from slowwave.experience.follow_up import exchange, is_correction
from slowwave.experience.items import consolidated
from slowwave.experience.store import Store
from slowwave.night.gather import permitted
from slowwave.records import Experience, Lesson, NodeKind

MOST = 500  # of the newest exchanges
RECENT = 3  # nights whose reflections and skills are dreamt of
ASKED: dict[NodeKind, str] = {"reflection": "What did we settle lately?", "skill": "What should you keep in mind?"}
LONGEST = 400  # characters of a message that comes before another


def memories(store: Store, persona: str, permission: Permission) -> list[Memory]:
    """Lessons as they should have gone, and the openings of conversations, where nobody corrected them. What may not
    teach is not dreamt of.

    What was erased is in the store no more, and a refused lesson is no memory.
    """
    every = store.lessons(persona)
    allowed = [
        lesson for lesson in every
        if lesson.status != "refused" and permitted(store, lesson, permission)
    ]  # fmt: skip
    out = [
        Memory(f"lesson:{one.id}", one.question, one.answer, one.experiences, one.authority)
        for one in allowed if one.question and one.answer
    ]  # fmt: skip
    out += _consolidated(every, {f"lesson:{one.id}": one for one in allowed})
    corrected = {id for lesson in every for id in lesson.experiences}
    asked = {normalise(one.question) for one in out}
    for lived in store.experiences(persona)[-MOST:]:
        if lived.id in corrected or _called_wrong(lived) or not permission.allows(lived):
            continue
        chat, answer = exchange(lived)
        asks = [message["content"] for message in chat if message["role"] == "user"]
        question = asks[0] if len(asks) == 1 else ""  # what comes later may not be understood alone
        if answer and question and max(len(question), len(answer)) <= LONGEST and normalise(question) not in asked:
            asked.add(normalise(question))
            out.append(Memory(f"experience:{lived.id}", question, answer, (lived.id,), lived.authority))
    return [one for one in out if max(len(one.question), len(one.answer)) <= LONGEST]


def _consolidated(lessons: Sequence[Lesson], allowed: Mapping[str, Lesson]) -> list[Memory]:
    """What the newest nights made of lessons, where each of those is allowed."""
    nights = sorted({one.night for one in lessons if one.status == "learned" and one.night is not None})[-RECENT:]
    out = []
    for item in consolidated(one for one in lessons if one.night in nights):
        if all(id in allowed for id in item.derived_from):
            of = [allowed[id] for id in item.derived_from]
            while len(said := " ".join(one.note for one in of)) > LONGEST:
                of.pop()
            lived = tuple(dict.fromkeys(id for one in of for id in one.experiences))
            about = tuple(one.question or one.note for one in of)
            out.append(Memory(item.node.id, ASKED[item.node.kind], said, lived, item.node.authority, about))
    return [one for one in out if one.about]


def _called_wrong(lived: Experience) -> bool:
    """Whether the user said so of its answer."""
    later = [message["content"] for message in lived.messages[1:] if message["role"] == "user"]
    return bool(lived.outcome.correction) or (lived.outcome.rating or 0) < 0 or any(map(is_correction, later))
