"""Whether dreams collapse: the same lessons dreamt on each of ten nights of a home that learns more every night.

A dreamer that fed on its own dreams would repeat itself more every night. Ours dreams with the base, whatever version
is served, and of what was lived; with collisions (`collided`), also of what earlier nights taught.

    python studies/diversity.py --seeds 3
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import _lines
import _memories
import _night
from _table import Row, arguments, finish

from slowwave.dream.collide import Collider
from slowwave.dream.diversity import diversity
from slowwave.dream.dreamer import Dreamer
from slowwave.dream.settings import DreamSettings
from slowwave.records import Scene

ARMS = {"alone": 0.0, "collided": 1.0}  # share of the scenes that is dreamt once more with other memories
# Anchors are none of what is measured, and take most of a dream's time
_APART = DreamSettings(near_miss=0, composed_near=0, ordinary=0, prose=0, watch=0, exam_near_miss=0)


def course(args: argparse.Namespace, arm: str, seed: int) -> np.ndarray:
    """The figures of each lesson on each night, [2 (distinct, spread), lessons, nights]."""
    engine, embedder = _night.engine(args), _night._embedder(args.embedder)
    items = [item for item in _night.items(args) if item.lesson and item.lesson.question and item.lesson.answer]
    items = [items[i] for i in np.random.default_rng(seed).permutation(len(items))]
    lessons = [item.lesson for item in items[: args.each] if item.lesson]
    settings = replace(_APART, collided=ARMS[arm])
    earlier: list[Scene] = []
    out = []
    for night in range(args.nights):
        lived = items[: (night + 1) * args.each]
        collider = None
        if settings.collided:
            collider = Collider(_memories.memories(lived), embedder, _memories.graph(lived, embedder))
        dreamer = Dreamer(engine, embedder, settings, collider=collider)
        scenes = dreamer.dream(lessons, earlier=earlier, seed=100 * seed + night)
        earlier += scenes
        of = [diversity([one for one in scenes if one.lesson == lesson.id], embedder) for lesson in lessons]
        out.append([(one.distinct, one.spread) if one else (np.nan, np.nan) for one in of])
        print(f"{arm}, seed {seed}, night {night + 1}: {np.round(np.nanmean(out[-1], axis=0), 3)}", flush=True)
    return np.array(out).transpose(2, 1, 0)


def lost(figures_L_N: np.ndarray) -> float:
    """The share that a straight line through the means of the nights loses from the first to the last."""
    mean_N = np.nanmean(figures_L_N, axis=0)
    slope, start = np.polyfit(np.arange(len(mean_N)), mean_N, 1)
    return float(-slope * (len(mean_N) - 1) / start)


def main() -> None:
    """Read the command line, dream, print the table."""
    parser = arguments(__doc__ or "")
    models = Path(os.environ.get("SLOWWAVE_CACHE", "~/.cache/slowwave")).expanduser() / "models"
    parser.add_argument("--model", default=str(models / "smollm2-135m-instruct"), help="folder of the base model")
    parser.add_argument("--embedder", default=str(models / "minilm-l6-v2"), help="folder of the embedding model")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="of the base")
    parser.add_argument("--lessons", default="exam", choices=("dev", "exam"), help="whose lessons are dreamt of")
    parser.add_argument(
        "--each", type=int, default=3, help="lessons that are dreamt each night, and more that are learned"
    )
    parser.add_argument("--nights", type=int, default=10, help="nights in a row, two at least")
    parser.add_argument("--arms", default=", ".join(ARMS))
    parser.add_argument("--plot", type=Path, help="draw both figures along the nights there (.png, .svg or .pdf)")
    args = parser.parse_args()
    if args.nights < 2:
        parser.error("Something can be lost over two nights at least.")
    if args.smoke:
        args.seeds, args.lessons, args.each, args.nights, args.arms = 1, "dev", 1, 2, "alone"
    rows, lines = [], {}
    for arm in (one.strip() for one in args.arms.split(",")):
        if arm not in ARMS:
            parser.error(f"There is no arm {arm!r}; there are {', '.join(ARMS)}.")
        figures = np.concatenate([course(args, arm, seed) for seed in range(args.seeds)], axis=1)
        for of_L_N, name in zip(figures, ("distinct word pairs", "spread of the vectors"), strict=True):
            of_night = [_drawn(of_L_N[:, [night]], np.nanmean) for night in range(args.nights)]
            lines[f"{arm}: {name}"] = [(night + 1, *found) for night, found in enumerate(of_night)]
            for night in (0, args.nights - 1):
                rows.append(Row(f"{arm}: {name}, night {night + 1}", *of_night[night]))
            name = f"{arm}: {name}, lost over {args.nights} nights"
            rows.append(Row(name, *_drawn(of_L_N, lost), 0.1, 0.0, at_most=True))
    if args.plot:
        _lines.draw(lines, args.plot, x="night", y="distinct pairs; one less mean cosine")
    finish(rows, args)


def _drawn(of_L_N: np.ndarray, figure: Callable[[np.ndarray], float]) -> tuple[float, float, float]:
    """The figure, and its interval over lessons drawn anew."""
    draw = np.random.default_rng(0)
    drawn = [figure(of_L_N[draw.integers(len(of_L_N), size=len(of_L_N))]) for _ in range(2000)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(figure(of_L_N)), float(low), float(high)


if __name__ == "__main__":
    main()
