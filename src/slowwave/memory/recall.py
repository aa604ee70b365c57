"""What of the lessons that are not in the weights yet belongs into the prompt of a turn, within a budget of tokens.

A lesson belongs there if it is near to what was asked, or somewhat near and about a person or thing that was named;
those that the graph ranks highest around the question come first. Knows no store and no model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from slowwave.exam.match import normalise
from slowwave.memory.entities import entities
from slowwave.memory.graph import KINDS, Graph
from slowwave.memory.grow import SIMILAR, entity_id

NEAR = 0.5  # cosine of question and lesson (MiniLM); unrelated ones stay below 0.3
SEEDS = 8  # memories nearest to the question from which the ranks go out
RESTART = 0.5  # near memories alone matter, and the ranks are there after a few steps


@dataclass(frozen=True)
class Note:
    """A lesson for the prompt: its text, the vector_D of what it answers, and the nodes of the graph it stands on."""

    text: str
    vector_D: np.ndarray
    nodes: tuple[str, ...]
    cue: str = ""  # of a habit, or of what is to be unknown: the note is for what holds these words, and for that alone


def recall(
    graph: Graph, notes: Sequence[Note], asked: str, vector_D: np.ndarray, budget: int, count: Callable[[str], int]
) -> list[Note]:
    """The notes for a turn, the most fitting first.

    Args:
        asked: what the user says, whose vector is `vector_D`.
        budget: tokens that all of them may take, as `count` counts them. One that does not fit is passed over.
    """
    if not notes:
        return []
    cosine_K = np.array([float(note.vector_D @ vector_D) for note in notes])
    persona = graph.nodes[0].persona if graph.nodes else ""
    ids = [entity_id(persona, name) for name in entities(asked)]
    named = [graph.place[id] for id in ids if id in graph.place]
    places = [[graph.place[id] for id in note.nodes if id in graph.place] for note in notes]
    mentioning = _mentioning(graph, named)
    words = f" {normalise(asked)} "
    fits = [
        at for at, (note, cosine) in enumerate(zip(notes, cosine_K, strict=True))
        if (_holds(asked, words, note.cue) if note.cue else
            cosine >= NEAR or (cosine >= SIMILAR and mentioning.intersection(places[at])))
    ]  # fmt: skip
    rank_N = _ranks(graph, vector_D, named)
    fits.sort(key=lambda at: (-sum(rank_N[place] for place in places[at]), -cosine_K[at]))
    chosen, left = [], budget
    for at in fits:
        if (size := count(notes[at].text)) <= left:
            chosen.append(notes[at])
            left -= size
    return chosen


def _holds(asked: str, words: str, cue: str) -> bool:
    """Whether what is asked, whose words stand between spaces, has the cue: as words, or as marks if it is no word."""
    return f" {bare} " in words if (bare := normalise(cue)) else cue in asked


def _mentioning(graph: Graph, named: Sequence[int]) -> set[int]:
    """The nodes that mention one of these people and things."""
    at_L = (graph.links.kind_L == KINDS.index("mentions")) & np.isin(graph.links.target_L, named)
    return set(graph.links.source_L[at_L].tolist())


def _ranks(graph: Graph, vector_D: np.ndarray, named: Sequence[int]) -> np.ndarray:
    """Ranks around the memories nearest to the question and the people and things it names."""
    seeds = dict.fromkeys(named, 1.0)
    if graph.vectors_N_D.shape[1] == len(vector_D):
        cosine_N = graph.vectors_N_D @ vector_D
        nearest = np.argsort(-cosine_N, kind="stable")[:SEEDS]
        seeds |= {int(at): float(cosine_N[at]) for at in nearest if cosine_N[at] >= SIMILAR}
    return graph.rank(seeds, RESTART, 1e-4) if seeds else np.zeros(len(graph.nodes))
