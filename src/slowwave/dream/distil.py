"""Filtered self-distillation where only a note exists: the base sees the note and answers; what fits it is learned.

The student trains without the note. Of the samples that pass the likeliest to please is learned where the judge can be
trusted, else the shortest. Where none passes, the note itself is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from slowwave.exam.match import passes
from slowwave.records import Lesson, Message, Scene

if TYPE_CHECKING:
    import numpy as np

    from slowwave.dream.judge import Judge

    Likes = Callable[[Sequence[tuple[Sequence[Message], str]]], np.ndarray]  # chats and answers -> chance to please

_ASK = """Fact: Your bike is parked behind the station.
Question: Where is my bike parked?

Fact: You always pay the rent on the third of the month.
Question: When do I pay the rent?

Fact: You feed the fish before breakfast.
Question: When do I feed the fish?

Fact: {note}
Question:"""


def question_of(engine: Any, lesson: Lesson, seed: int) -> str | None:
    """The question that a lesson answers: its own, or for a bare note the one the model finds most often."""
    if lesson.question is not None or lesson.kind == "cue":
        return lesson.question
    samples = engine.complete(
        [_ASK.format(note=lesson.note)], max_new_tokens=24, temperature=0.7, n=8, seed=seed, stop=["\n"]
    )[0]
    asked = [text.strip() for text in samples if text.strip().endswith("?") and not passes(text, lesson.check)]
    return (
        max(set(asked), key=asked.count)
        if asked
        else f"What do you know about this: {lesson.applies.split(': ')[-1].split(' ')[0]}?"
    )


def note(lesson: Lesson) -> Message:
    """What tells the base a lesson, before a conversation."""
    return {"role": "system", "content": f"You know this about the user: {lesson.note}"}


def fill(
    engine: Any, scenes: Sequence[Scene], lessons: Sequence[Lesson], seed: int, samples: int = 4,
    judge: Judge | None = None,
) -> list[Scene]:  # fmt: skip
    """Answers for apply scenes that have none, from the base with the note before it."""
    notes = {lesson.id: lesson for lesson in lessons}
    open_ = [i for i, s in enumerate(scenes) if s.taught and s.answer is None]
    out = list(scenes)
    if not open_:
        return out
    chats = [[note(notes[scenes[i].lesson or ""]), *scenes[i].messages] for i in open_]
    replies = engine.generate(chats, max_new_tokens=40, temperature=0.7, n=samples, seed=seed, batch=32)
    of = [notes[scenes[i].lesson or ""] for i in open_]
    good = [
        [reply.text for reply in row if reply.finish == "stop" and passes(reply.text, lesson.check)]
        for lesson, row in zip(of, replies, strict=True)
    ]
    likes = judge.chance if judge is not None and judge.trusted else None
    chosen = best([(scenes[i].messages, some) for i, some in zip(open_, good, strict=True)], likes)
    for i, lesson, answer in zip(open_, of, chosen, strict=True):
        out[i] = replace(scenes[i], answer=lesson.note if answer is None else answer)
    return out


def best(choices: Sequence[tuple[Sequence[Message], Sequence[str]]], likes: Likes | None) -> list[str | None]:
    """Of the answers to each chat the likeliest to please, where that can be told, else the shortest; None of none.

    All are asked about at once, and where there is no choice nobody is asked.
    """
    different = [list(dict.fromkeys(answers)) for _, answers in choices]
    out = [min(answers, key=len, default=None) for answers in different]
    several = [at for at, answers in enumerate(different) if len(answers) > 1]
    if likes is not None and several:
        worth = iter(likes([(choices[at][0], answer) for at in several for answer in different[at]]))
        for at in several:
            out[at] = max(different[at], key=lambda _: float(next(worth)))
    return out
