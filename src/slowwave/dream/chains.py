"""Chains: scenes that ask for two lessons at once, or for one after what it contradicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from slowwave.dream.make import user
from slowwave.dream.registers import lowered
from slowwave.records import Lesson, Scene, least, new_id

_ONCE_MORE = ("", "Once more: ", "Are you sure? ", "That was long ago. ", "Is that still so? ", "Think again. ")


def chains(
    scenes: Sequence[Scene], taught: Sequence[Lesson], each: int, rng: np.random.Generator, older: Mapping[str, Lesson]
) -> list[Scene]:
    """`each` chains of every lesson with another one, of their messages that stand alone, and as many with the lesson
    that it contradicts."""
    alone: dict[str, list[Scene]] = {}
    for one in scenes:
        if one.kind == "apply" and one.split == "train" and len(one.messages) == 1 and ":" not in one.family:
            alone.setdefault(one.lesson or "", []).append(one)
    ids = [lesson.id for lesson in taught if lesson.id in alone]
    draw = lambda id: alone[id][int(rng.integers(len(alone[id])))]  # noqa: E731
    out: list[Scene | None] = []
    for id in ids:
        others = [one for one in ids if one != id]
        for _ in range(each if others else 0):
            out.append(chain(draw(id), draw(others[int(rng.integers(len(others)))])))
        out += [contradicted(draw(id), older[id], rng) for _ in range(each if id in older else 0)]
    return [one for one in out if one is not None]


def chain(first: Scene, second: Scene) -> Scene | None:
    """Two lessons at once: both are asked, both answered. None where one of them has no answer."""
    if first.answer is None or second.answer is None:
        return None
    asked, other = first.messages[-1]["content"], second.messages[-1]["content"]
    text = f"{asked.rstrip()} And {lowered(other)}"
    return replace(
        first, id=new_id(first.id, "chain", second.id), kind="chain", family="chain", messages=(user(text),),
        answer=f"{first.answer} {second.answer}", lineage=tuple(dict.fromkeys((*first.lineage, *second.lineage))),
        authority=least(first.authority, second.authority),
    )  # fmt: skip


def contradicted(scene: Scene, older: Lesson, rng: np.random.Generator) -> Scene | None:
    """The older lesson was just answered, and is asked for once more: what was said before does not hold any longer.
    None where one of them has no answer."""
    if not scene.answer or not older.question or not older.answer:
        return None
    bridge = _ONCE_MORE[int(rng.integers(len(_ONCE_MORE)))]
    before = (user(older.question), {"role": "assistant", "content": older.answer})
    text = f"{bridge}{scene.messages[-1]['content']}"
    return replace(
        scene, id=new_id(scene.id, "contradicts", older.id, text), kind="chain", family="contradicts",
        messages=(*before, user(text)), lineage=tuple(dict.fromkeys((*scene.lineage, *older.experiences))),
        authority=least(scene.authority, older.authority),
    )  # fmt: skip
