"""The memory graph in arrays: who is linked to whom, ranks around some nodes, and random walks.

Links are walked in both directions. Knows no store and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
from scipy.sparse import csr_array

from slowwave.records import LinkKind, Node

KINDS: tuple[LinkKind, ...] = get_args(LinkKind)
RESTART = 0.15  # of a step, to go back to where the walk began: PageRank's


@dataclass(frozen=True)
class Links:
    """L links in arrays of one length."""

    source_L: np.ndarray  # int32, places of nodes
    target_L: np.ndarray
    kind_L: np.ndarray  # uint8, places in KINDS
    weight_L: np.ndarray  # float32, in (0, 1]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, LinkKind, float]]) -> Links:
        """From (source, target, kind, weight)."""
        source, target, kind, weight = zip(*rows, strict=True) if rows else ((), (), (), ())
        return cls(
            np.array(source, np.int32),
            np.array(target, np.int32),
            np.array([KINDS.index(one) for one in kind], np.uint8),
            np.array(weight, np.float32),
        )

    def kinds(self) -> list[LinkKind]:
        """The kind of each."""
        return [KINDS[at] for at in self.kind_L]


@dataclass(frozen=True, eq=False)
class Graph:
    """N nodes of one persona, their vectors (a row of zeros where there is none yet), and the links among them."""

    nodes: tuple[Node, ...]
    vectors_N_D: np.ndarray  # float32, each of length one
    links: Links

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Where each node stands, by its id."""
        return {node.id: place for place, node in enumerate(self.nodes)}

    @cached_property
    def weights_N_N(self) -> csr_array:
        """Symmetric. Of two nodes with links of several kinds, their sum."""
        count = len(self.nodes)
        source, target = self.links.source_L, self.links.target_L
        both = (np.concatenate([source, target]), np.concatenate([target, source]))
        weights = csr_array((np.tile(self.links.weight_L.astype(np.float64), 2), both), shape=(count, count))
        weights.sum_duplicates()
        return weights

    @cached_property
    def steps_N_N(self) -> csr_array:
        """The chance of a step from each node (row) to each other; a row of a node without links is empty.

        A link weighs less the more its ends have (divided by the roots of both sums), or every walk would end with the
        few people and things that are mentioned everywhere.
        """
        root_N = np.sqrt(np.maximum(self.weights_N_N.sum(axis=1), 1e-12))
        rows = np.repeat(np.arange(len(self.nodes)), np.diff(self.weights_N_N.indptr))
        steps = self.weights_N_N.copy()
        steps.data = steps.data / (root_N[rows] * root_N[steps.indices])
        total_N = np.maximum(steps.sum(axis=1), 1e-12)
        steps.data = steps.data / total_N[rows]
        return steps

    @cached_property
    def _back_N_N(self) -> csr_array:
        return self.steps_N_N.T.tocsr()

    def neighbours(self, place: int) -> list[tuple[int, LinkKind, float, bool]]:
        """Of one node: the other's place, the link's kind and weight, and whether the link starts here. The heaviest
        first."""
        found = [
            (int(other_L[at]), KINDS[self.links.kind_L[at]], float(self.links.weight_L[at]), outward)
            for here_L, other_L, outward in (
                (self.links.source_L, self.links.target_L, True),
                (self.links.target_L, self.links.source_L, False),
            )
            for at in np.flatnonzero(here_L == place)
        ]
        return sorted(found, key=lambda link: -link[2])

    def rank(self, seeds: Mapping[int, float], restart: float = RESTART, tolerance: float = 1e-9) -> np.ndarray:
        """Personalised PageRank around weighted seeds: rank_N, which sums to one (Haveliwala 2002).

        p = restart * seeds + (1 - restart) * P^T p, by iteration; what stands on a node without links goes to
        the seeds. Raises ValueError without a seed of positive weight.
        """
        start_N = np.zeros(len(self.nodes))
        for place, weight in seeds.items():
            start_N[place] = weight
        if not start_N.sum() > 0 or (start_N < 0).any():
            raise ValueError("a rank needs seeds of positive weight")
        start_N /= start_N.sum()
        rank_N = start_N
        while True:
            moved_N = (1 - restart) * (self._back_N_N @ rank_N)
            moved_N += (1 - moved_N.sum()) * start_N
            if np.abs(moved_N - rank_N).sum() < tolerance:
                return moved_N
            rank_N = moved_N

    def walk(self, start: int, steps: int, draw: np.random.Generator, restart: float = RESTART) -> list[int]:
        """A random walk with restart (Tong et al. 2006): the places it visits, `start` first, `steps` + 1 in all."""
        path = [start]
        matrix = self.steps_N_N
        for _ in range(steps):
            row = slice(matrix.indptr[path[-1]], matrix.indptr[path[-1] + 1])
            if row.start == row.stop or draw.random() < restart:
                path.append(start)
                continue
            chances = matrix.data[row].cumsum()
            at = min(int(np.searchsorted(chances, draw.random() * chances[-1], side="right")), len(chances) - 1)
            path.append(int(matrix.indices[row][at]))
        return path
