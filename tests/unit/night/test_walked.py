"""After a night: links on the ways to scenes of what was learned are stronger."""

from dataclasses import replace

from slowwave.records import Outcome
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
