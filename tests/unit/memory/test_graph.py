import itertools

import numpy as np
import pytest
from scipy.sparse import eye_array
from scipy.sparse.linalg import spsolve

from slowwave.memory.graph import Graph, Links
from slowwave.memory.quality import quality
from slowwave.records import Node


def graph(count: int, *rows: tuple[int, int, str, float], kind: str = "experience") -> Graph:
    nodes = tuple(Node(f"{kind}:{i}", "default", kind, f"text {i}", float(i)) for i in range(count))  # type: ignore[arg-type]
    return Graph(nodes, np.zeros((count, 0), np.float32), Links.of(rows))  # type: ignore[arg-type]


LINE = graph(5, (0, 1, "follows", 1.0), (1, 2, "follows", 1.0), (2, 3, "similar", 0.6), (1, 3, "mentions", 1.0))


def test_a_rank_is_the_solution_of_its_equation() -> None:
    """p = r s + (1 - r) P^T p, solved directly."""
    rank_N = LINE.rank({0: 2.0, 3: 1.0}, restart=0.2)
    start = np.array([2, 0, 0, 1, 0]) / 3
    matrix = LINE.steps_N_N
    np.testing.assert_allclose(matrix.sum(axis=1), [1, 1, 1, 1, 0])
    expected = spsolve((eye_array(5) - 0.8 * matrix.T).tocsc(), 0.2 * start)
    np.testing.assert_allclose(rank_N, expected / expected.sum(), atol=1e-7)
    assert rank_N[4] == 0 and rank_N.sum() == pytest.approx(1)


def test_the_rank_of_a_node_without_links_is_its_own() -> None:
    assert LINE.rank({4: 1.0}).tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("seeds", [{}, {0: 0.0}, {0: 2.0, 1: -1.0}])
def test_a_rank_needs_seeds(seeds: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="seeds"):
        LINE.rank(seeds)


def test_a_walk_visits_each_node_as_often_as_its_rank_says() -> None:
    path = LINE.walk(0, 60_000, np.random.default_rng(0), restart=0.2)
    assert path[0] == 0 and len(path) == 60_001
    np.testing.assert_allclose(np.bincount(path, minlength=5) / len(path), LINE.rank({0: 1.0}, restart=0.2), atol=0.01)


def test_a_walk_takes_links_alone_and_goes_back_where_there_are_none() -> None:
    linked = LINE.weights_N_N.toarray() > 0
    path = LINE.walk(2, 500, np.random.default_rng(1), restart=0)
    assert all(linked[a, b] for a, b in itertools.pairwise(path))
    assert LINE.walk(4, 3, np.random.default_rng(1)) == [4, 4, 4, 4]
    assert LINE.walk(0, 9, np.random.default_rng(5)) == LINE.walk(0, 9, np.random.default_rng(5))


def test_what_is_mentioned_everywhere_draws_less() -> None:
    """From 0 to a hub and to a node with no other link, by links of one weight."""
    hub = graph(12, (0, 1, "mentions", 1.0), (0, 2, "similar", 1.0), *((1, i, "mentions", 1.0) for i in range(3, 12)))
    steps = hub.steps_N_N.toarray()
    assert steps[0, 2] > 2 * steps[0, 1] > 0


def test_neighbours_have_kind_weight_and_direction() -> None:
    assert LINE.neighbours(3) == [(1, "mentions", 1.0, False), (2, "similar", pytest.approx(0.6), False)]
    assert LINE.neighbours(0) == [(1, "follows", 1.0, True)]
    assert LINE.neighbours(4) == []


def test_links_of_several_kinds_between_two_add_up() -> None:
    both = graph(2, (0, 1, "follows", 1.0), (1, 0, "corrects", 1.0), (0, 1, "similar", 0.5))
    np.testing.assert_allclose(both.weights_N_N.toarray(), [[0, 2.5], [2.5, 0]])


def test_quality_counts_what_hangs_together_and_what_does_not() -> None:
    nodes = (
        *LINE.nodes,
        Node("lesson:a", "default", "lesson", "a", 0.0),
        Node("entity:b", "default", "entity", "b", 0.0),
    )
    links = Links.of([
        (0, 1, "follows", 1.0), (1, 2, "similar", 0.5), (3, 0, "similar", 0.3), (5, 1, "similar", 0.99),
        (0, 2, "similar", 1.0), (5, 6, "mentions", 1.0), (3, 5, "contradicts", 1.0),
    ])  # fmt: skip
    vectors_N_D = np.array([[0, 1], [1, 0], [1, 0], [0.1, 0.995], [0, 0], [1, 0], [0, 0]], np.float32)
    found = quality(Graph(nodes, vectors_N_D, links))
    assert (found.memories, found.links, found.contradictions) == (6, 7, 1)
    assert found.coverage == pytest.approx(5 / 6) and found.orphans == pytest.approx(1 / 6)
    assert found.duplicates == pytest.approx(2 / 6), "by the vectors, whatever a link weighs, and within a kind"
    assert found.degree_mean == pytest.approx(13 / 6) and found.degree_median == 2.5


def test_quality_of_nothing() -> None:
    assert quality(graph(0)).memories == 0
    assert quality(graph(0)).coverage == 0
