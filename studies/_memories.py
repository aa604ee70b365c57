"""The memory graph of the benchmark's lessons and of a day's other exchanges, built as a night builds it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files

import numpy as np
from _quality import Item as Asked

from slowwave.dream.collide import Memory
from slowwave.dream.filters import Embeds
from slowwave.memory.graph import Graph, Links
from slowwave.memory.grow import Grower, Item
from slowwave.records import Lesson, Node


def _time(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


def day() -> list[tuple[str, str, str]]:
    """(id, question, answer) of the exchanges of the first night's day that taught nothing."""
    rows = map(json.loads, (files("slowwave.data") / "first_night.jsonl").read_text().splitlines())
    out = []
    for row in rows:
        said = row["messages"]
        if len(said) == 2 and not row.get("outcome"):
            out.append((row["id"], said[0]["content"], said[1]["content"]))
    return out


def memories(items: Sequence[Asked]) -> list[Memory]:
    """What may be dreamt of: every lesson, as it should have gone, and the day's exchanges."""
    lessons = [item.lesson for item in items if item.lesson and item.lesson.question and item.lesson.answer]
    own = [Memory(f"lesson:{o.id}", o.question or "", o.answer or "", o.experiences, o.authority) for o in lessons]
    return own + [Memory(f"experience:{id}", asked, said, (id,), "user") for id, asked, said in day()]


def graph(items: Sequence[Asked], embedder: Embeds) -> Graph:
    """Exchanges and lessons, linked in the order in which they came."""
    grower = Grower("default")
    lived = [(item.exchange.id, item.exchange.messages[0]["content"], item.exchange.time) for item in items]
    lived += [(id, asked, "2026-03-01T08:00:00Z") for id, asked, _ in day()]
    new = [
        Item(Node(f"experience:{id}", "default", "experience", text, _time(time), "user"), _NONE, text, "user:ann")
        for id, text, time in lived
    ]
    last = max(item.node.time for item in new)
    new += [_lesson(item.lesson, last) for item in items if item.lesson]
    vectors = embedder.embed([item.speaks for item in new])
    grown = grower.take([replace(item, vector_D=vector) for item, vector in zip(new, vectors, strict=True)])
    place = {node.id: at for at, (node, _) in enumerate(grown.nodes)}
    size = len(vectors[0])
    return Graph(
        tuple(node for node, _ in grown.nodes),
        np.stack([np.zeros(size, np.float32) if vector is None else vector for _, vector in grown.nodes]),
        Links.of([(place[o.source], place[o.target], o.kind, o.weight) for o in grown.links if o.target in place]),
    )


def shuffled(graph: Graph, seed: int) -> Graph:
    """The same nodes and as many links, between nodes drawn by chance."""
    links = graph.links
    target_L = np.random.default_rng(seed).permutation(links.target_L)
    return Graph(graph.nodes, graph.vectors_N_D, replace(links, target_L=target_L))


def doubled(graph: Graph, count: int, of: Sequence[Memory]) -> Graph:
    """With the most linked of these memories copied so often, each copy linked as it is: walks end there again and
    again."""
    links, nodes = graph.links, list(graph.nodes)
    degree_N = np.bincount(np.r_[links.source_L, links.target_L], minlength=len(nodes))
    at = max((graph.place[one.node] for one in of), key=lambda place: int(degree_N[place]))
    mine_L = np.flatnonzero((links.source_L == at) | (links.target_L == at))
    copies = [replace(nodes[at], id=f"{nodes[at].id}#{number}") for number in range(count)]
    parts = [(links.source_L, links.target_L, links.kind_L, links.weight_L)]
    for number in range(count):
        new = len(nodes) + number
        swap = lambda end_L, new=new: np.where(end_L[mine_L] == at, new, end_L[mine_L]).astype(np.int32)  # noqa: E731
        parts.append((swap(links.source_L), swap(links.target_L), links.kind_L[mine_L], links.weight_L[mine_L]))
    source_L, target_L, kind_L, weight_L = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    vectors_N_D = np.concatenate([graph.vectors_N_D, np.repeat(graph.vectors_N_D[at : at + 1], count, axis=0)])
    return Graph((*nodes, *copies), vectors_N_D, Links(source_L, target_L, kind_L, weight_L))


def with_copies(some: Sequence[Memory], graph: Graph | None) -> list[Memory]:
    """The memories, and those that are in the graph once more."""
    copies = [node.id for node in graph.nodes if "#" in node.id] if graph else []
    of = {one.node: one for one in some}
    return [*some, *(replace(of[id.partition("#")[0]], node=id) for id in copies)]


def orphaned(graph: Graph, share: float, seed: int) -> Graph:
    """Without the links of a share of the nodes."""
    links, draw = graph.links, np.random.default_rng(seed)
    alone_N = draw.random(len(graph.nodes)) < share
    kept_L = ~(alone_N[links.source_L] | alone_N[links.target_L])
    return Graph(
        graph.nodes, graph.vectors_N_D,
        Links(links.source_L[kept_L], links.target_L[kept_L], links.kind_L[kept_L], links.weight_L[kept_L]),
    )  # fmt: skip


_NONE = np.zeros(0, np.float32)


def _lesson(lesson: Lesson, after: float) -> Item:
    node = Node(f"lesson:{lesson.id}", "default", "lesson", lesson.note, after, lesson.authority)
    speaks = f"{lesson.question}\n{lesson.answer}" if lesson.question else lesson.note
    came_from = tuple(f"experience:{id}" for id in lesson.experiences)
    return Item(
        node, _NONE, speaks, derived_from=came_from, corrects=came_from if lesson.kind == "answer" else (),
        question=lesson.question or "", answer=lesson.answer or "",
    )  # fmt: skip
