"""After a night: links on the ways to scenes of what was learned are stronger."""

from dataclasses import replace

import pytest

from slowwave.records import Outcome
from tests.unit.night import test_retried
from tests.unit.night.cheap import CheapRooms, correction, slept


def test_a_walk_to_a_scene_of_a_lesson_that_was_learned_makes_its_links_stronger(tmp_path, store):
    """And all others weaker; a night that learns nothing changes none."""

    class Walking(CheapRooms):
        def scenes(self, lessons, earlier):
            scenes = super().scenes(lessons, earlier)
            way = (f"lesson:{lessons[0].id}", "experience:e2", f"lesson:{lessons[0].id}", "experience:e1")
            return [replace(one, walk=way) if one.split == "train" else one for one in scenes]

    def weights():
        graph = store.graph.load("default")
        rows = zip(graph.links.source_L, graph.links.target_L, graph.links.weight_L, strict=True)
        return {frozenset((graph.nodes[a].id, graph.nodes[b].id)): float(weight) for a, b, weight in rows}

    for number in (1, 2):
        store.add(correction(number))
    store.add(replace(correction(3), time="2026-03-01T09:01:00Z", outcome=Outcome()))
    slept(tmp_path, store, Walking(teachable=False), max_lessons=1)
    before = weights()
    lesson = next(one.id for one in store.lessons("default") if one.experiences == ("e1",))
    walked, other = frozenset((f"lesson:{lesson}", "experience:e1")), frozenset(("experience:e3", "experience:e1"))
    assert before[other] == 1
    slept(tmp_path, store, Walking(), max_lessons=1)
    after = weights()
    assert after[other] < 1 and after[walked] / after[other] > before[walked] / before[other]


class Rounds(CheapRooms):
    """Each training scene lies at a way of its own, and a round trains one of each lesson."""

    def scenes(self, lessons, earlier):
        scenes, ways = super().scenes(lessons, earlier), {}
        for at, one in enumerate(scenes):
            if one.split == "train":
                ways.setdefault(one.lesson, []).append(f"experience:e{len(ways.get(one.lesson, [])) + 1}")
                scenes[at] = replace(one, walk=(f"lesson:{one.lesson}", ways[one.lesson][-1]))
        return scenes

    def train(self, scenes, earlier, *, on_round, **options):
        on_round(1, {scene.lesson: scene for scene in reversed(scenes)}.values())
        return super().train(scenes, earlier, on_round=on_round, **options)


@pytest.fixture
def walked(monkeypatch):
    """The pairs of nodes of each night whose links grew stronger."""
    told = []
    of = lambda self, persona, pairs, night: told.append(set(pairs))  # noqa: E731
    monkeypatch.setattr("slowwave.experience.graph.GraphStore.walked", of)
    return told


def test_a_way_to_a_scene_that_no_round_trained_on_is_worth_nothing(tmp_path, store, walked):
    store.add(correction(1))
    test_retried.slept(tmp_path, store, Rounds())
    (lesson,) = store.lessons("default", "learned")
    assert walked == [{(f"lesson:{lesson.id}", "experience:e1")}], "of three scenes one was trained on"


@pytest.mark.parametrize("converged", [True, False])
def test_of_a_lesson_that_is_taught_once_more_ways_are_worth_something_if_it_converged(
    tmp_path, store, walked, converged
):
    store.add(correction(1))
    test_retried.slept(tmp_path, store, Rounds(converged=[]))
    (first,) = store.lessons("default", "learned")
    store.add(correction(2))
    test_retried.slept(tmp_path, store, Rounds(converged=[first.id] if converged else []))
    assert (
        {source for source, _ in walked[1]} >= {f"lesson:{first.id}"}
        if converged
        else (f"lesson:{first.id}" not in {source for source, _ in walked[1]})
    )
