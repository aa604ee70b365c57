"""A night of ours in the benchmark's harness: the model, the lessons, the dreams, the training. Kept once a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import _arms
import _quality

from slowwave.dream.dreamer import Dreamer
from slowwave.dream.settings import DreamSettings
from slowwave.exam.panel import Panel
from slowwave.exam.retention import Reference
from slowwave.learn.train import train
from slowwave.models.embed import Embedder
from slowwave.models.engine import Engine
from slowwave.night.decisions import Curriculum, curriculum
from slowwave.records import Scene

LESSONS = Path(__file__).parent / "lessons"
SETS = ("dev", "exam", "wide1", "wide2", "wide3")  # dev and wide3 for tuning; the others for tables


@cache
def _loaded(model: str, dtype: str) -> Engine:
    return Engine.load(Path(model), dtype=dtype)


@cache
def _measured(model: str, dtype: str, limit: int | None) -> tuple[Panel, Reference]:
    panel = Panel.load(limit)
    return panel, Reference.measure(_loaded(model, dtype), panel)


@cache
def _embedder(path: str) -> Embedder:
    return Embedder.load(Path(path))


def engine(args: Any) -> Engine:
    """The base that the options name."""
    return _loaded(args.model, args.dtype)


def reference(args: Any) -> tuple[Panel, Reference]:
    """The retention panel, and what the base does on it."""
    return _measured(args.model, args.dtype, 2 if args.smoke else None)


def items(args: Any) -> list[_quality.Item]:
    """The benchmark's lessons that the options name."""
    return _quality.load(LESSONS / f"{args.lessons}.json", 2 if args.smoke else None)


def dream_settings(args: Any) -> DreamSettings:
    """A user's own; the least of everything to see that it runs."""
    return (
        DreamSettings(
            apply=2, composed=4, near_miss=1, composed_near=1, ordinary=2, watch=1, prose=1, samples=0, answer_tokens=8
        )
        if args.smoke
        else DreamSettings()
    )


def dream(args: Any, base: Engine, lessons: list[_quality.Item], earlier: list[Scene], seed: int) -> list[Scene]:
    """The scenes of these lessons."""
    return Dreamer(base, _embedder(args.embedder), dream_settings(args)).dream(
        [item.lesson for item in lessons if item.lesson], earlier=earlier, seed=seed
    )


def learn(
    args: Any,
    base: Engine,
    arm: str,
    scenes: list[Scene],
    folder: Path,
    seed: int,
    earlier: list[Scene],
    start: tuple[str, Path] | None,
    change: Callable[[Curriculum], Curriculum] = lambda taught: taught,
) -> dict[str, Any]:
    """Train the arm on the scenes, from version `start` or the base, into `folder`. Returns what it took.

    Args:
        change: of what is trained on.
    """
    settings = _arms.settings(arm)
    settings = replace(
        settings, drift_bound=100.0, micro_tokens=4096 if base.device.type == "cuda" else settings.micro_tokens
    )  # the floors judge the drift here
    if args.smoke:
        settings = replace(settings, epochs=0.1, min_steps=1)
    taught = curriculum(base, scenes, earlier, start[0] if start else None, dream_settings(args).rehearsal, settings)
    taught = change(taught)
    began = time.monotonic()
    trained = train(
        base.model,
        taught.lessons,
        taught.anchors,
        settings,
        seed=seed,
        watch=taught.watch,
        start=start[1] if start else None,
    )
    saved = trained.weights.save(folder)
    trained.weights.release()
    return {
        "steps": trained.steps,
        "train_seconds": time.monotonic() - began,
        "bytes": saved["bytes"],
        "energy_kept": saved["energy_kept"],
        "decisions": len(taught.lessons),
        "anchors": len(taught.anchors),
    }
