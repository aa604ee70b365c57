"""Which precision a night should run in: bfloat16 against float32 on this machine, as ratios from one run.

Adapter weights and optimizer moments are float32 either way; what changes is the base's weights and the arithmetic.

    python bench/precision.py --model ~/.cache/slowwave/models/smollm2-135m-instruct
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from _table import Row, arguments, finish

from slowwave.learn.decision import Decision
from slowwave.learn.settings import preset
from slowwave.learn.train import train
from slowwave.models.chat import prompt_ids, reply_ids
from slowwave.models.engine import Engine

QUESTIONS = [f"What is {a} plus {b}, and why?" for a in range(4) for b in range(4)]
TEXT = "The quick brown fox jumps over the lazy dog. " * 20


def seconds(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def measure(engine: Engine, count: int, tokens: int, steps: int) -> dict[str, float]:
    """Seconds of answering `count` questions, of reading texts of 200 tokens, and of some training steps."""
    chats = [[{"role": "user", "content": question}] for question in QUESTIONS[:count]]
    tokenizer = engine.tokenizer
    decisions = [
        Decision(tuple(prompt_ids(tokenizer, chat)), tuple(reply_ids(tokenizer, "It is a number. " * min(6, tokens))))
        for chat in chats
    ]
    batch = count // 2
    settings = replace(preset("adapter"), kl_weight=0.0, epochs=steps / 2, min_steps=1, lesson_batch=batch, warmup=0)

    def learn() -> None:
        trained = train(engine.model, decisions, [], settings)
        trained.weights.release()

    return {
        f"generation, {count} together": seconds(lambda: engine.generate(chats, max_new_tokens=tokens)),
        "reading": seconds(lambda: engine.bits_per_byte([TEXT[: 100 * tokens]] * (count // 2 + 2))),
        "training, adapter": seconds(learn),
    }


def main() -> None:
    """Alternate the two precisions, so that the machine's mood hits both."""
    parser = arguments(__doc__ or "")
    cache = Path(os.environ.get("SLOWWAVE_CACHE", "~/.cache/slowwave")).expanduser()
    parser.add_argument("--model", type=Path, default=cache / "models" / "smollm2-135m-instruct")
    args = parser.parse_args()
    engines = {dtype: Engine.load(args.model, dtype=dtype) for dtype in ("float32", "bfloat16")}
    size, repeats = ((2, 2, 1), 1) if args.smoke else ((16, 48, 4), max(3, args.seeds))
    for engine in engines.values():
        if not args.smoke:
            measure(engine, 2, 2, 1)  # warm-up
    runs = [{dtype: measure(engine, *size) for dtype, engine in engines.items()} for _ in range(repeats)]
    rows = []
    for name in runs[0]["float32"]:
        ratios = [run["float32"][name] / run["bfloat16"][name] for run in runs]
        rows.append(
            Row(f"{name}: float32 time over bfloat16 time", statistics.median(ratios), min(ratios), max(ratios))
        )
    finish(rows, args)
    print("(low and high are the extremes of the runs, not an interval)")


if __name__ == "__main__":
    main()
