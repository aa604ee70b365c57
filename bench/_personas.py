"""Nights of many personas in the same passes against one night after the other, on the same work."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import torch

from slowwave.learn.decision import Decision
from slowwave.learn.settings import LearnSettings, preset
from slowwave.learn.together import Night, train_together
from slowwave.learn.train import train

CONTEXT, REPLY = 40, 24  # tokens of a scene, as in a night of chats
HEADER = (1, 2, 3)
MICRO = 10_240  # tokens in one pass, the contexts' a sixteenth
APART = 8  # nights that are timed one after the other


def nights(count: int, words: int) -> list[Night]:
    """Each persona's own scenes: eight lessons and twelve anchors, a step's worth."""
    draw = torch.Generator().manual_seed(0)
    of = lambda size: tuple(torch.randint(4, words, (size,), generator=draw).tolist())  # noqa: E731
    decisions = lambda size, lesson: [  # noqa: E731
        Decision((*of(CONTEXT), *HEADER), of(REPLY), lesson=lesson, header=len(HEADER)) for _ in range(size)
    ]
    return [Night(decisions(8, True), decisions(12, False), seed) for seed in range(count)]


def seconds_a_step(model: Any, count: int, steps: int, *, together: bool) -> list[float]:
    """Of each step in which all personas advance by one; the first three are not counted: what is compiled or captured
    is so by then. Apart, as many times the first few nights, which are all of one size."""
    settings: LearnSettings = preset("adapter", context="frozen", min_steps=steps + 3, micro_tokens=MICRO)
    every = nights(count, model.config.vocab_size)
    if together:
        return _times(lambda told: train_together(model, every, settings, on_step=told))
    times: list[list[float]] = []
    for night in every[:APART]:

        def alone(told: Any, night: Night = night) -> None:
            train(model, night.lessons, night.anchors, settings, seed=night.seed, on_step=told).weights.release()

        times.append(_times(alone))
    return [sum(step) * count / len(times) for step in zip(*times, strict=True)]


def _times(run: Any) -> list[float]:
    marks: list[float] = []

    def told(*_: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        marks.append(time.perf_counter())

    run(told)
    return [after - before for before, after in pairwise(marks[2:])]
