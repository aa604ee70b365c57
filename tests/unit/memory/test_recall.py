import numpy as np
import pytest

from slowwave.memory.graph import Graph, Links
from slowwave.memory.grow import entity_id
from slowwave.memory.recall import Note, recall
from slowwave.records import Node

EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def at(cosine: float) -> np.ndarray:
    return np.array([cosine, (1 - cosine**2) ** 0.5], np.float32)


def node(id: str) -> Node:
    return Node(id, "default", id.split(":")[0], id, 0.0)  # type: ignore[arg-type]


SISTER = entity_id("default", "sister")
GRAPH = Graph(
    (node("lesson:a"), node("lesson:b"), node("experience:b"), node(SISTER)),
    np.stack([at(0.6), at(0.7), at(0.7), np.zeros(2, np.float32)]),
    Links.of([(0, 3, "mentions", 1.0), (1, 2, "derived_from", 1.0)]),
)
EMPTY = Graph((), np.zeros((0, 0), np.float32), Links.of([]))


def texts(*notes: Note, asked: str = "What now?", budget: int = 100, graph: Graph = GRAPH) -> list[str]:
    return [note.text for note in recall(graph, notes, asked, EAST, budget, lambda text: len(text.split()))]


def test_near_lessons_are_recalled_and_others_not() -> None:
    assert texts(Note("near", at(0.5), ()), Note("far", at(0.49), ())) == ["near"]
    assert texts(Note("near", at(0.5), ()), Note("far", at(0.49), ()), graph=EMPTY) == ["near"]
    assert texts() == []


def test_who_is_named_brings_what_is_somewhat_near() -> None:
    note = Note("about her", at(0.35), ("lesson:a",))
    assert texts(note, asked="How is my sister?") == ["about her"]
    assert texts(note, asked="How is my brother?") == []
    assert texts(Note("about her", at(0.2), ("lesson:a",)), asked="How is my sister?") == []


def test_the_graph_orders_them() -> None:
    a, b = Note("a", at(0.6), ("lesson:a",)), Note("b", at(0.7), ("lesson:b",))
    assert texts(a, b) == ["b", "a"]
    assert texts(a, b, asked="And my sister?") == ["a", "b"]


def test_the_budget_holds_and_what_does_not_fit_is_passed_over() -> None:
    notes = [Note("one two three", at(0.9), ()), Note("four five six", at(0.8), ()), Note("seven", at(0.7), ())]
    assert texts(*notes, budget=4) == ["one two three", "seven"]
    assert texts(*notes, budget=0) == []


def test_a_cue_of_marks_alone_is_looked_for_as_it_is() -> None:
    assert texts(Note("calm", NORTH, (), cue="???"), asked="Where is the bus???") == ["calm"]
    assert texts(Note("calm", NORTH, (), cue="???"), asked="Where is the bus?") == []


@pytest.mark.parametrize(
    ("asked", "recalled"), [("Ahoy! What's up?", True), ("ahoy", True), ("Ahoys!", False), ("What's up?", False)]
)
def test_a_habit_is_recalled_by_its_cue_alone(asked: str, recalled: bool) -> None:
    assert texts(Note("habit", NORTH, (), cue="Ahoy"), asked=asked) == (["habit"] if recalled else [])
    assert texts(Note("habit", EAST, (), cue="Ahoy"), asked=asked) == (["habit"] if recalled else [])
