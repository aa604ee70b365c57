"""What a large memory graph costs: linking it, one more memory, reading, ranking, walking, erasing.

Synthetic exchanges of one persona about things and people, most mentioned now and then and few often, with vectors in
clusters as sentences have them; a real store on this disk. Medians; their interval is the fastest and the slowest.

    python bench/memory_graph.py --memories 80000
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _table import Row, arguments, finish

from slowwave.experience.linking import Linker
from slowwave.experience.store import Store
from slowwave.memory.quality import quality
from slowwave.records import Experience, Outcome

SIZE = 384  # of a vector, as MiniLM's
TIMES = 5


class Clusters:
    """A text's vector by its topic, the number at its end: memories of one topic have a cosine of some 0.6."""

    def __init__(self, topics: int) -> None:
        self.draw = np.random.default_rng(0)
        self.topics = self.draw.normal(size=(topics, SIZE)).astype(np.float32)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        own = np.array([int(text.split("\n")[0].split()[-1]) for text in texts])
        vectors = self.topics[own] + 0.8 * self.draw.normal(size=(len(texts), SIZE)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def lived(number: int, topics: int, draw: np.random.Generator) -> Experience:
    """One exchange; a minute after the one before."""
    thing = int(draw.zipf(1.3)) % (10 * topics)
    text = f"What about my thing{thing} and topic {number % topics}"
    time = f"2026-{1 + number // 40320:02d}-{1 + number // 1440 % 28:02d}T{number // 60 % 24:02d}:{number % 60:02d}:00Z"
    return Experience(f"e{number}", "default", f"user:{number % 50}", time, ({"role": "user", "content": text},))


def measure(memories: int, folder: Path) -> list[Row]:
    """The rows of a graph of so many memories."""
    topics, draw = max(4, memories // 40), np.random.default_rng(0)
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[..., Any], *inputs: Any) -> Any:
        began = time.perf_counter()
        out = work(*inputs)
        seconds.setdefault(name, []).append(time.perf_counter() - began)
        return out

    with Store(folder) as store:
        store.add_many(lived(number, topics, draw) for number in range(memories))
        linker = Linker(store, Clusters(topics), "default")
        timed("all of them linked, s", linker.link)
        for extra in range(TIMES):
            store.add(lived(memories + extra, topics, draw))
            timed("one more linked, by a program that runs on, s", linker.link)
            store.amend(f"e{memories + extra}", outcome=Outcome(rating=1))
            store.add(lived(memories + TIMES + extra, topics, draw))
            timed("one more where the one before was amended, as in a conversation, s", linker.link)
        for extra in range(TIMES):
            graph = timed("the graph read, s", store.graph.load, "default")
            timed("a rank around one memory, the matrix made first, s", graph.rank, {extra: 1.0})
            timed("a rank around another, s", graph.rank, {extra + 9: 1.0})
            timed("a walk of 10,000 steps, s", graph.walk, extra, 10_000, draw)
            timed("an experience erased, s", store.erase, f"e{100 + extra}")
        found = quality(graph)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 2**20
    head = f"{len(graph.nodes)} nodes, {found.links} links"
    rows = [Row(f"{head}: {name}", statistics.median(v), min(v), max(v)) for name, v in seconds.items()]
    rows.append(Row(f"{head}: the store, MiB", size, size, size))
    rows.append(Row(f"{head}: memories that hang together, share", found.coverage, found.coverage, found.coverage))
    return rows


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = arguments(__doc__ or "", seeds=False)
    parser.add_argument("--memories", type=int, default=80_000, help="exchanges; people and things come on top")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        finish(measure(300 if args.smoke else args.memories, Path(folder)), args)


if __name__ == "__main__":
    main()
