import numpy as np

from slowwave.memory.entities import entities
from slowwave.memory.grow import NEAREST, Grower, Item
from slowwave.records import Node

EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
BETWEEN = np.array([0.8, 0.6], np.float32)


def item(ref: str, time: float = 0, vector: np.ndarray = EAST, kind: str = "experience", **fields: object) -> Item:
    return Item(Node(f"{kind}:{ref}", "default", kind, ref, time), vector, **fields)  # type: ignore[arg-type]


def links(grower: Grower, *items: Item) -> set[tuple[str, str, str]]:
    return {(one.source, one.kind, one.target) for one in grower.take(items).links}


def test_alike_memories_are_linked_with_their_cosine_and_others_not() -> None:
    grower = Grower("default")
    grown = grower.take([item("a", 0), item("b", 1, NORTH), item("c", 2, BETWEEN)])
    assert [(one.source, one.target, round(one.weight, 3)) for one in grown.links] == [
        ("experience:c", "experience:a", 0.8),
        ("experience:c", "experience:b", 0.6),
    ]
    assert links(grower, item("d", 3, -EAST)) == set()


def test_one_after_the_other_is_as_all_at_once() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(80, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = [item(str(i), i, vector, source="user", speaks=f"my thing {i % 7}") for i, vector in enumerate(vectors)]
    at_once, one_by_one = Grower("default").take(items[::-1]), Grower("default")
    singly = [one_by_one.take([one]) for one in items]
    nodes = {node.id: node for grown in singly[::-1] for node, _ in grown.nodes}  # of each the first: it is stored
    assert {node.id: node for node, _ in at_once.nodes} == nodes and len(at_once.nodes) == len(nodes)
    every = [one for grown in singly for one in grown.links]
    assert [(one.source, one.target, one.kind) for one in at_once.links] == [
        (o.source, o.target, o.kind) for o in every
    ]
    np.testing.assert_allclose([one.weight for one in at_once.links], [one.weight for one in every], atol=1e-6)
    assert {one.kind for one in every} == {"similar", "follows", "mentions"}


def test_the_nearest_few_are_linked() -> None:
    grower = Grower("default")
    angles = np.linspace(0, 0.5, 30)
    grower.take([item(str(i), i, np.array([np.cos(a), np.sin(a)], np.float32)) for i, a in enumerate(angles)])
    near = {target for _, _, target in links(grower, item("new", 99, EAST))}
    assert near == {f"experience:{i}" for i in range(NEAREST)}


def test_what_one_source_says_soon_after_follows_and_a_correction_corrects() -> None:
    grower = Grower("default")
    talk = [item("a", 0, EAST, source="ann"), item("b", 60, NORTH, source="eve"), item("c", 90, -EAST, source="ann")]
    later = item("d", 9000, -NORTH, source="ann")
    wrong = item("e", 9100, EAST, source="ann", corrects_last=True)
    assert links(grower, *talk, later) == {("experience:c", "follows", "experience:a")}
    assert ("experience:e", "corrects", "experience:d") in links(grower, wrong)


def test_lessons_with_two_answers_to_one_question_contradict() -> None:
    grower = Grower("default")
    of = lambda ref, answer: item(  # noqa: E731
        ref, 0, NORTH, "lesson", question="What's my tram?", answer=answer, derived_from=("experience:a",)
    )
    assert links(grower, item("a"), of("one", "Tram 5")) == {("lesson:one", "derived_from", "experience:a")}
    assert ("lesson:two", "contradicts", "lesson:one") in links(grower, of("two", "Tram 9"))
    same = links(grower, of("three", "tram 9."))
    assert ("lesson:three", "contradicts", "lesson:one") in same
    assert ("lesson:three", "contradicts", "lesson:two") not in same


def test_people_and_things_are_one_node_each_whatever_the_capitals() -> None:
    grower = Grower("default")
    first = grower.take([item("a", speaks="Who is my Sister?"), item("b", 1, NORTH, speaks="my sister's dog")])
    names = [node.text for node, _ in first.nodes if node.kind == "entity"]
    assert names == ["Sister", "sister's dog"]
    assert len([one for one in first.links if one.kind == "mentions"]) == 3
    again = [node.id for node, _ in grower.take([item("c", 2, speaks="our sister")]).nodes]
    assert again == ["experience:c", first.nodes[1][0].id], "the store, where it may be gone, keeps one of each"
    assert Grower("ann").take([item("a", speaks="my sister")]).nodes[1][0].id != first.nodes[1][0].id


def test_what_is_made_of_others_is_as_old_as_the_newest_of_them() -> None:
    grower = Grower("default")
    grower.recall([item("a", 100)])
    grower.take([item("b", 200, NORTH)])
    made = item("c", 0, BETWEEN, "reflection", derived_from=("experience:a", "experience:b", "experience:gone"))
    assert grower.take([made]).nodes[0][0].time == 200
    assert grower.take([item("d", 0, BETWEEN, "skill", derived_from=("reflection:c",))]).nodes[0][0].time == 200


def test_what_is_known_is_passed_over_and_what_was_recalled_is_linked_to() -> None:
    grower = Grower("default")
    grower.recall([item("old", 0, EAST, source="ann")])
    assert grower.take([item("old", 0)]).nodes == []
    assert links(grower, item("new", 5, EAST, source="ann")) == {
        ("experience:new", "similar", "experience:old"),
        ("experience:new", "follows", "experience:old"),
    }


def test_what_was_linked_and_is_read_again_counts_once() -> None:
    grower = Grower("default")
    items = [item(str(i), i, EAST) for i in range(NEAREST)]
    grower.take(items)
    grower.recall(items)
    assert len(links(grower, item("new", 99, EAST))) == NEAREST


def test_what_is_forgotten_is_like_nothing_and_followed_by_nothing_until_it_is_taken_once_more() -> None:
    grower = Grower("default")
    grower.take([item("a", 0, EAST, source="ann"), item("b", 5, EAST, source="ann")])
    grower.forget(["experience:b", "experience:never"])
    assert not grower.knows(["experience:b"])
    assert links(grower, item("c", 9, EAST, source="ann")) == {
        ("experience:c", "similar", "experience:a"), ("experience:c", "follows", "experience:a"),
    }  # fmt: skip
    assert links(grower, item("b", 5, BETWEEN, source="ann")) >= {("experience:b", "follows", "experience:a")}, (
        "what came before it, not what came last"
    )


def test_vectors_of_another_embedder_are_not_compared() -> None:
    grower = Grower("default")
    grower.recall([item("old", 0, EAST)])
    assert links(grower, item("new", 5, np.array([1, 0, 0], np.float32))) == set()


def test_names() -> None:
    assert entities("What’s my sister's dog called? He's Rex, says Mr. Smith.") == [
        "Rex",
        "Smith",
        "sister",
        "sister's dog",
    ]
    assert entities("I moved to New York on Monday. The Bank of England is in London.") == [
        "New York", "Bank of England", "London",
    ]  # fmt: skip
    assert entities("Which tram do I take to our office when it rains?") == ["office"]
    assert entities("When do I water my plants?") == ["plants"]
    assert entities("What is a volcano? Tell me. Thanks!") == []
    assert entities("") == []
