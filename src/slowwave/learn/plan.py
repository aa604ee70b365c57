"""Which decisions each step of a night takes, and its learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from slowwave.learn.decision import Decision
from slowwave.learn.loss import Terms
from slowwave.learn.settings import LearnSettings
from slowwave.learn.teacher import Target

Taught = tuple[Decision, Target]


def plan(
    lessons: Sequence[Decision], anchors: Sequence[Taught], rehearsed: Sequence[Taught], settings: LearnSettings,
    seed: int,
) -> Iterator[Terms]:  # fmt: skip
    """The terms of each step, without an end: lessons, what must stay, and, if there are any, earlier lessons."""
    lesson_draw = _draws(len(lessons), settings.lesson_batch, seed)
    anchor_draw = _draws(len(anchors), settings.anchor_batch, seed + 1)
    rehearsal_draw = _draws(len(rehearsed), settings.rehearsal_batch, seed + 2)
    while True:
        terms: dict[str, tuple[float, list[tuple[Decision, Target | None]]]] = {
            "cross_entropy": (1.0, [(lessons[i], None) for i in next(lesson_draw)]),
            "kl": (settings.kl_weight, [anchors[i] for i in next(anchor_draw)]),
        }
        if rehearsed:
            terms["kl_rehearsed"] = (settings.rehearsal_weight, [rehearsed[i] for i in next(rehearsal_draw)])
        yield terms


def rate(step: int, steps: int, warmup: int) -> float:
    """Share of the peak learning rate: linear warm-up, then a cosine to zero."""
    warmup = min(warmup, steps // 4)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _draws(count: int, size: int, seed: int) -> Iterator[list[int]]:
    """Endless batches: every item once before any comes again, each round in a new order."""
    generator = torch.Generator().manual_seed(seed)
    queue: list[int] = []
    while True:
        while count and len(queue) < size:
            queue += torch.randperm(count, generator=generator).tolist()
        yield queue[:size] if count else []
        queue = queue[size:]
