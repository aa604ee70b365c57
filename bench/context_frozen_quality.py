"""What each way to treat the context teaches and breaks: the first night's benchmark, and lessons of long contexts.

On the same dreams: loss on all tokens; on the reply alone; with a detached context, of all layers and of the queries
alone; and with activated LoRA, whose context is the base's. LoRA and all parameters, AdamW, APOLLO and APOLLO-Mini.
Beside the figures of night_quality.py: questions whose answer stands in a log, and a fact planted in a long text.

    python bench/context_frozen_quality.py --seeds 3 --workers 8 --log results.jsonl
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import _long
import _night
import _quality
import _rows
import night_quality
from _table import Row, finish

from slowwave.exam.statistics import bootstrap
from slowwave.learn.decision import Decision
from slowwave.night.decisions import Curriculum
from slowwave.records import Scene, from_dict

WAYS = {
    "LoRA, all tokens": "adapter",
    "LoRA, reply": "adapter",
    "LoRA, detached": "adapter context=detached",
    "LoRA, detached, q alone": 'adapter context=detached targets=["q_proj"]',
    "aLoRA": "adapter context=frozen",
    "full, reply": "full",
    "full, detached": "full context=detached",
    "full, APOLLO": "full optimizer=apollo",
    "full, APOLLO-Mini": "full optimizer=apollo_mini",
}
SIZES = {"logs": 100, "log_tokens": 900, "asked": 24, "needles": 8, "needle_tokens": 7600}
SMALL = {"logs": 2, "log_tokens": 60, "asked": 2, "needles": 1, "needle_tokens": 200}


def taught(way: str, long: list[Decision]) -> Callable[[Curriculum], Curriculum]:
    """The curriculum with the lessons of long contexts, and with loss on every token where the way says so."""

    def change(curriculum: Curriculum) -> Curriculum:
        lessons = [*curriculum.lessons, *long]
        if way.endswith("all tokens"):
            lessons = [
                replace(one, context=one.context[:1], reply=one.context[1:] + one.reply, header=1) for one in lessons
            ]
        return replace(curriculum, lessons=lessons)

    return change


def job(args: Any, way: str, seed: int, work: Path) -> dict[str, Any]:
    """One way on one seed, in a process of its own."""
    if way not in (*args.arms_of, "base"):
        return night_quality.run_job(args, way, seed, work)
    sizes = SMALL if args.smoke else SIZES
    engine, items = _night.engine(args), _night.items(args)
    panel, reference = _night.reference(args)
    asked = _long.scenes(sizes["asked"], sizes["log_tokens"], held_out=True, seed=0)

    def figures() -> dict[str, Any]:
        return {
            **asdict(_quality.measure(engine, items, panel, reference)),
            "long": _long.answered(engine, asked),
            **{
                f"needle at {place}": nats
                for place, nats in _long.needles(engine, sizes["needles"], sizes["needle_tokens"]).items()
            },
        }

    if way == "base":
        return {"arm": way, "seed": seed, **figures()}
    scenes = [from_dict(Scene, data) for data in json.loads((work / f"scenes-{seed}.json").read_text())]
    logs = _long.scenes(sizes["logs"], sizes["log_tokens"], held_out=False, seed=seed)
    version = f"{way}-{seed}".replace(" ", "-")
    facts = _night.learn(
        args, engine, args.arms_of[way], scenes, work / version, seed, [], None,
        taught(way, _long.decisions(engine.tokenizer, logs)),
    )  # fmt: skip
    engine.add_version(version, work / version)
    with engine.using(version):
        found = figures()
    engine.unload(version)
    return {"arm": way, "seed": seed, **facts, **found}


def rows_of(results: list[dict[str, Any]], ways: list[str]) -> list[Row]:
    """The rows of night_quality.py, and those of long contexts."""
    rows = []
    for way in ways:
        rows += _rows.rows_of(results, [way])
        mine = [result for result in results if result["arm"] == way]
        if not mine:
            continue
        found = bootstrap([value for result in mine for value in result["long"]])
        rows.append(Row(f"{way}: answered from a log, other words", found.value, found.low, found.high))
        for needle in [key for key in mine[0] if key.startswith("needle at ")]:
            found = bootstrap([value for result in mine for value in result[needle]])
            name = f"{way}: {needle.replace('needle', 'a fact')} of a long text, nats a token"
            rows.append(Row(name, found.value, found.low, found.high))
    return rows


def main() -> None:
    """Read the command line, run every way, print the table."""
    parser = night_quality.parser_of(__doc__ or "")
    parser.add_argument(
        "--ways",
        default="; ".join(["base", *WAYS]),
        help="those to run, with semicolons; NAME: ARM is one of your own, with an arm of night_quality.py",
    )
    parser.add_argument("--from-log", type=Path, help="run nothing; the table of the results in that file")
    args = parser.parse_args()
    args.arms_of, ways = dict(WAYS), []
    for wish in args.ways.split(";"):
        way, colon, arm = (part.strip() for part in wish.partition(":"))
        args.arms_of |= {way: arm} if colon else {}
        ways.append(way)
        if way not in (*args.arms_of, "base"):
            parser.error(f"There is no way {way!r}; there are {', '.join(WAYS)}.")
    if args.smoke:
        args.seeds, args.lessons, ways = 1, "dev", ["base", "aLoRA"]
    if args.from_log:
        results = [json.loads(line) for line in args.from_log.read_text().splitlines()]
    else:
        results = night_quality.run(args, ways, job)
    finish(rows_of(results, ways), args)


if __name__ == "__main__":
    main()
