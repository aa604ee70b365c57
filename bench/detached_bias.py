"""How far the gradient of a night with detached contexts is from the exact one.

The version in training reads the context either way; `learn.context=detached` leaves out of the gradient what a change
of the weights changes there. Exact is the same loss with the whole gradient (`trained`). Both are taken at the start of
a night, where LoRA's B is zero, and after some steps of exact training; after exchanges, and after logs of 900 tokens.

    python bench/detached_bias.py --json detached_bias.json
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import _arms
import _long
import torch
from _night import LESSONS
from _quality import load
from _table import Row, arguments, finish
from torch import Tensor

from slowwave.exam.statistics import interval_over_seeds
from slowwave.learn.decision import Collate, Decision, collate
from slowwave.learn.freezing import After
from slowwave.learn.loss import backward
from slowwave.learn.train import train
from slowwave.models.chat import header_length, prompt_ids, reply_ids
from slowwave.models.engine import Engine

WAYS = {
    "LoRA": "adapter depth=1",
    "LoRA, upper two thirds": "adapter",
    "LoRA, queries alone": 'adapter depth=1 targets=["q_proj"]',
    "all parameters": "full",
}
LOG_TOKENS, LOGS = 900, 2  # logs for each of the two lessons of long contexts
SHORT, STEPS = 8, 20


def exchanges(tokenizer: Any, seed: int, count: int) -> list[Decision]:
    """Lessons of the tuning set: the question of the exchange, and the note as what should have been said."""
    items = [item for item in load(LESSONS / "dev.json") if item.lesson]
    chosen = items[seed * count : (seed + 1) * count]
    out = []
    for item in chosen:
        asked = next(message for message in item.exchange.messages if message["role"] == "user")
        ids = tuple(prompt_ids(tokenizer, [asked]))
        reply = tuple(reply_ids(tokenizer, item.lesson.note if item.lesson else ""))
        out.append(Decision(ids, reply, header=max(1, header_length(tokenizer))))
    return out


def gradient(model: Any, trainable: list[Any], decisions: list[Decision], pack: Collate) -> Tensor:
    """Of the mean loss, all trainable parameters in a row."""
    for parameter in trainable:
        parameter.requires_grad_(True)
        parameter.grad = None
    backward(model, {"loss": (1.0, [(one, None) for one in decisions])}, 4096, model.device, pack)
    flat = torch.cat([parameter.grad.flatten() for parameter in trainable])
    for parameter in trainable:
        parameter.requires_grad_(False)
        parameter.grad = None
    return flat


def job(engine: Engine, arm: str, seed: int, smoke: bool) -> dict[str, tuple[float, float]]:
    """(error relative to the exact gradient's length, cosine) by when and after what."""
    short = exchanges(engine.tokenizer, seed, 2 if smoke else SHORT)
    logs = _long.scenes(1 if smoke else LOGS, 60 if smoke else LOG_TOKENS, held_out=False, seed=seed)
    after = {"exchanges": short, "logs": _long.decisions(engine.tokenizer, logs)}
    out = {}
    for steps in (0, 2 if smoke else STEPS):
        settings = replace(_arms.settings(arm), kl_weight=0.0, ema=0.0, min_steps=max(1, steps), epochs=0.01, warmup=0)
        trained = train(engine.model, short, [], settings if steps else replace(settings, lr=1e-8), seed=seed)
        trainable = list(trained.weights.trainable.values())
        for what, decisions in after.items():
            exact = gradient(engine.model, trainable, decisions, collate)
            found = gradient(engine.model, trainable, decisions, After(engine.model, frozen=False))
            error, cosine = (found - exact).norm() / exact.norm(), torch.cosine_similarity(found, exact, dim=0)
            out[f"after {steps} steps, {what}"] = float(error), float(cosine)
        trained.weights.release()
    return out


def main() -> None:
    """Every way on every seed."""
    parser = arguments(__doc__ or "")
    cache = Path(os.environ.get("SLOWWAVE_CACHE", "~/.cache/slowwave")).expanduser()
    parser.add_argument("--model", type=Path, default=cache / "models" / "smollm2-135m-instruct")
    args = parser.parse_args()
    engine = Engine.load(args.model, dtype="float32")
    seeds = 1 if args.smoke else args.seeds
    rows = []
    for way, arm in list(WAYS.items())[: 1 if args.smoke else None]:
        found = [job(engine, arm, seed, args.smoke) for seed in range(seeds)]
        for where in found[0]:
            for place, name in enumerate(("error of the gradient", "cosine")):
                values = [one[where][place] for one in found]
                mean = interval_over_seeds(values) if len(values) > 1 else None
                value, low, high = (mean.value, mean.low, mean.high) if mean else values * 3
                rows.append(Row(f"{way}, {where}: {name}", value, low, high))
                print(f"{rows[-1].figure}: {value:.3f}", flush=True)
    finish(rows, args)


if __name__ == "__main__":
    main()
