"""Making scenes: one user message each, its identity and weight from its lesson."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from slowwave.dream.settings import DreamSettings
from slowwave.exam.match import normalise
from slowwave.records import Check, Lesson, Message, Scene, SceneKind, Split, new_id


def user(text: str) -> Message:
    """A user's message."""
    return {"role": "user", "content": text}


def scene(
    lesson: Lesson | None, kind: SceneKind, text: str, answer: str | None, family: str, split: Split = "train"
) -> Scene:
    """One scene of one user message."""
    return Scene(
        id=new_id("scene", lesson.id if lesson else None, kind, text), lesson=lesson.id if lesson else None,
        kind=kind, messages=(user(text),), answer=answer,
        family=family, split=split, weight=lesson.salience if lesson and kind == "apply" else 1.0,
        check=lesson.check if lesson and kind == "apply" else Check(),
        authority=lesson.authority if lesson else "assistant", lineage=lesson.experiences if lesson else (),
    )  # fmt: skip


def near_misses(
    lesson: Lesson, texts: Sequence[str], settings: DreamSettings, rng: np.random.Generator, varied: Sequence[str] = ()
) -> list[Scene]:
    """Near-miss scenes; a random share of the texts is the exam's, and of the varied ones none."""
    order = rng.permutation(len(texts))
    exam = {int(i) for i in order[: settings.exam_near_miss]}
    return [
        scene(lesson, "near_miss", text, None, "near", "exam" if i in exam else "train")
        for i, text in enumerate([*texts, *varied])
    ]


def questions(scenes: Iterable[Scene]) -> set[str]:
    """What the scenes ask, normalised."""
    return {normalise(s.messages[-1]["content"]) for s in scenes}
