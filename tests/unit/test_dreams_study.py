"""The parts of studies/dreams.py that need no model: the graph it spoils, what tokens buy, and its table."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowwave.dream.make import scene
from tests.unit.dream.conftest import Hashes

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "studies")]
_dream_arms, _dream_rows, _memories, _quality = map(
    importlib.import_module, ("_dream_arms", "_dream_rows", "_memories", "_quality")
)

ITEMS = _quality.load(ROOT / "bench" / "lessons" / "dev.json", 6)


def test_the_memory_graph_of_the_lessons_and_three_ways_to_spoil_it() -> None:
    graph = _memories.graph(ITEMS, Hashes())
    memories = _memories.memories(ITEMS)
    assert {one.node for one in memories} <= set(graph.place) and len(memories) > 10
    count = len(graph.links.source_L)
    assert count > 20
    shuffled = _memories.shuffled(graph, 1)
    assert len(shuffled.links.source_L) == count and (shuffled.links.target_L != graph.links.target_L).any()
    doubled = _memories.doubled(graph, 3)
    assert len(doubled.nodes) == len(graph.nodes) + 3 and len(doubled.links.source_L) > count
    degree = lambda one: np.bincount(np.r_[one.links.source_L, one.links.target_L])  # noqa: E731
    assert (degree(doubled)[-3:] == degree(graph).max()).all()
    orphaned = _memories.orphaned(graph, 0.5, 0)
    assert 0 < len(orphaned.links.source_L) < count / 2 and orphaned.nodes == graph.nodes


def test_every_lesson_gets_as_many_scenes_and_its_own_exchange() -> None:
    lessons = [item.lesson for item in ITEMS[:2] if item.lesson]
    scenes = [scene(lessons[0], "apply", f"text {i}", "x", "given" if i == 3 else "composed") for i in range(9)]
    scenes += [scene(lessons[1], "apply", "alone", "x", "given"), scene(lessons[1], "near_miss", "not", "y", "near")]
    found = _dream_arms.cut(scenes, 4, 0)
    assert [one.lesson for one in found if one.taught].count(lessons[0].id) == 4
    assert [one.messages[0]["content"] for one in found if one.lesson == lessons[1].id] == ["not", *["alone"] * 4]
    assert "text 3" in [one.messages[0]["content"] for one in found]


def result(arm: str, seed: int, held: float, novel: list[float]) -> dict[str, Any]:
    kinds = ["speaker", "domain", "register", "multi_turn"]
    groups = {
        "held_out": ["a", "b"],
        "novel": ["a", "a", "b", "b"],
        "kinds of situation": kinds,
        "right": ["a"],
        "taken_over": ["b"],
    }
    return {"arm": arm, "seed": seed, "held_out": [held, 1.0], "novel": novel, "right": [1.0], "taken_over": [0.0],
            "drift": 0.01 * (seed + 1), "groups": groups}  # fmt: skip


def test_the_table_tells_ratios_differences_and_doublings() -> None:
    some = [result("base", 0, 0.0, [0.0] * 4)]
    for seed in range(2):
        some += [result("walk x8", seed, 0.0, [1.0, 0, 0, 0]), result("walk", seed, 1.0, [1.0, 1, 0, 0]),
                 result("seven forms", seed, 1.0, [0.0] * 4)]  # fmt: skip
    rows = {row.figure: row for row in _dream_rows.rows_of(some, ["base", "walk x8", "walk", "seven forms"])}
    assert rows["walk: novel over held-out"].value == pytest.approx(0.5)
    assert rows["walk: novel, speaker"].value == 1 and rows["walk: novel, multi_turn"].value == 0
    assert rows["walk against seven forms: novel situations"].value == pytest.approx(0.5)
    assert rows["walk, to x16: held-out wordings gained"].value == pytest.approx(0.5)
    assert rows["walk: near misses right, against base"].value == 0
    assert rows["walk: drift, nats a token (and the seeds' range)"].value == pytest.approx(0.015)
