"""How good a memory graph is: what of it is linked, how evenly, what stands alone, doubled or contradicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from slowwave.memory.graph import KINDS, Graph

DOUBLE = 0.98  # cosine from which on two memories of one kind say the same
BATCH = 1 << 14  # links whose vectors are compared at once: 50 MB of MiniLM's


@dataclass(frozen=True)
class Quality:
    """Shares are of the memories: all nodes but people and things."""

    memories: int
    links: int
    coverage: float  # share of memories in the largest part that hangs together
    degree_mean: float  # links of a memory
    degree_median: float
    orphans: float  # share of memories without any link
    duplicates: float  # share of memories that say what an older one of their kind says
    contradictions: int  # pairs of lessons


def quality(graph: Graph) -> Quality:
    """The figures of a graph; of an empty one zeros."""
    memory_N = np.array([node.kind != "entity" for node in graph.nodes], bool)
    count = int(memory_N.sum())
    source_L, target_L, kind_L = graph.links.source_L, graph.links.target_L, graph.links.kind_L
    contradictions = int((kind_L == KINDS.index("contradicts")).sum())
    if not count:
        return Quality(0, len(kind_L), 0.0, 0.0, 0.0, 0.0, 0.0, contradictions)
    degree_N = np.bincount(np.concatenate([source_L, target_L]), minlength=len(graph.nodes))[memory_N]
    _, part_N = connected_components(graph.weights_N_N, directed=False)
    return Quality(
        count, len(kind_L), np.bincount(part_N[memory_N]).max() / count, float(degree_N.mean()),
        float(np.median(degree_N)), float((degree_N == 0).mean()), _doubled(graph) / count, contradictions,
    )  # fmt: skip


def _doubled(graph: Graph) -> int:
    """Memories that a link of likeness joins to one of their kind that says the same: all but one of each group.

    By the vectors: what a link weighs changes from night to night.
    """
    kinds = np.array([node.kind for node in graph.nodes])
    source_L, target_L = graph.links.source_L, graph.links.target_L
    alike_M = np.flatnonzero((graph.links.kind_L == KINDS.index("similar")) & (kinds[source_L] == kinds[target_L]))
    vectors_N_D, batches = graph.vectors_N_D, [alike_M[at : at + BATCH] for at in range(0, len(alike_M), BATCH)]
    cosine_M = [np.einsum("md,md->m", vectors_N_D[source_L[at]], vectors_N_D[target_L[at]]) for at in batches]
    same_S = alike_M[np.concatenate(cosine_M) >= DOUBLE] if cosine_M else alike_M
    size = len(graph.nodes)
    joined = csr_array((np.ones(len(same_S)), (source_L[same_S], target_L[same_S])), shape=(size, size))
    parts, _ = connected_components(joined, directed=False)
    return size - int(parts)
