"""How diverse dreams are, and when they have collapsed."""

from __future__ import annotations

from typing import Any

import pytest

from slowwave.dream.diversity import SCENES, Diversity, diversity
from slowwave.dream.make import scene
from slowwave.records import Lesson, Scene


def scenes(lesson: Lesson, texts: list[str], split: Any = "train") -> list[Scene]:
    return [scene(lesson, "apply", text, "A.", "composed", split) for text in texts]


WORDS = "apple river stone cloud lamp tiger paper moon salt chair boat drum".split()


def test_repetition_lowers_both_figures(lessons: dict[str, Lesson], embedder: Any) -> None:
    pairs = zip(WORDS, WORDS[1:] + WORDS[:1], strict=True)
    many = scenes(lessons["sister"], [f"{one} {other} {i}" for i, (one, other) in enumerate(pairs)])
    few = scenes(lessons["sister"], [f"apple river stone {i}" for i in range(12)])
    rich, poor = diversity(many, embedder), diversity(few, embedder)
    assert rich is not None and poor is not None
    assert rich.distinct == 1 and rich.spread > 2 * poor.spread
    assert poor.distinct == pytest.approx((2 + 12) / 36)


def test_every_lesson_counts_alike_and_only_what_teaches(lessons: dict[str, Lesson], embedder: Any) -> None:
    sister = scenes(lessons["sister"], [f"{word} tree {i} b c d e" for i, word in enumerate(WORDS)])
    deploy = scenes(lessons["deploy"], ["one two three"] * 12)
    both, one, other = (diversity(some, embedder) for some in ([*sister, *deploy], sister, deploy))
    assert both is not None and one is not None and other is not None
    assert both.distinct == pytest.approx((one.distinct + other.distinct) / 2)
    exam = scenes(lessons["sister"], ["one two three"] * 12, "exam")
    near = [scene(lessons["sister"], "near_miss", "one two three", "A.", "near")] * 12
    assert diversity([*sister, *exam, *near], embedder) == one
    assert diversity(sister[: SCENES // 3 - 1], embedder) is None, "too few to say"


def test_dreams_have_collapsed_when_one_figure_falls_below_its_share() -> None:
    before = [Diversity(0.8, 0.5), Diversity(0.6, 0.3)]
    assert Diversity(0.64, 0.37).holds(before, 0.9)
    assert not Diversity(0.62, 0.6).holds(before, 0.9) and not Diversity(0.9, 0.35).holds(before, 0.9)
    assert Diversity(0.0, 0.0).holds([], 0.9) and Diversity(0.0, 0.0).holds(before, 0.0)
