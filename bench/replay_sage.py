"""Replay two published sleep cycles of SAGE: the recipe they were trained with, and ours, on the very same records.

The first cycle trained on 6 records and printed 4.0609 and 4.0268 for epochs 1 and 3; the second trained on 250 and
printed 3.69 and 2.574. Those are means over records of the loss over all tokens, the system prompt included, on a base
that was never published: only the relative change compares. Held-out records are those of the next buffer that were
not trained on.

Intervals: over records (cluster bootstrap, all seeds of a record together) for losses; over seeds (t) for epoch losses,
drift and seconds. The buffers stay where they are (`--data`); without them the script says so and leaves with status 0.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from _table import Row, arguments, finish
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from slowwave.exam.statistics import Interval, bootstrap, interval_over_seeds
from slowwave.learn.decision import Decision
from slowwave.learn.loss import drift
from slowwave.learn.settings import preset
from slowwave.learn.teacher import targets
from slowwave.learn.train import train
from slowwave.models.chat import prompt_ids, reply_ids
from slowwave.models.engine import Engine

# About as long as the one of the cycles; the words are ours.
SYSTEM = (
    "You are SAGE, a small language model that talks with the people who look after it and with other assistants. You "
    "say what you know and what you are unsure of, you keep in mind that you work together with the person before you, "
    "and you answer as yourself, out of what you have lived through so far, rather than as an assistant like any other."
)
HELD_OUT = 100  # records, drawn once and the same for every seed
ANCHORS, WATCHED = 72, 24  # ordinary messages that hold our recipe still, and others that its drift is read on


@dataclass(frozen=True)
class Record:
    """One remembered exchange and the salience that its collector gave it, in [0, 1]."""

    prompt: str
    response: str
    salience: float


@dataclass(frozen=True)
class Cycle:
    """A published cycle: its buffer, the next buffer, and the losses it printed for its first and last epoch."""

    name: str
    later: str
    first: float
    last: float


RECIPES = ("published recipe", "ours")
CYCLES = (Cycle("thor-cycle-1", "thor-cycle-2", 4.0609, 4.0268), Cycle("thor-cycle-2", "full-851", 3.69, 2.574))


Losses = dict[tuple[str, str], np.ndarray]  # (records, tokens): [R]


@dataclass
class Run:
    """What one recipe did to the losses: per seed, lists over records."""

    losses: dict[tuple[str, str], list[np.ndarray]] = field(default_factory=dict)  # (records, tokens): seeds x [R]
    drift: list[float] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)  # change of the training loss from epoch 1 to the last, %
    seconds: list[float] = field(default_factory=list)

    def add(self, other: Run) -> None:
        """Append the seeds of another run of the same recipe."""
        for key, loss_SR in other.losses.items():
            self.losses.setdefault(key, []).extend(loss_SR)
        self.drift += other.drift
        self.epochs += other.epochs
        self.seconds += other.seconds


def read(path: Path) -> list[Record]:
    """The records of one buffer, in its order."""
    return [
        Record(r["prompt"].strip(), r["response"].strip(), float(r["salience"]["total"]))
        for r in json.loads(path.read_text(encoding="utf-8"))
    ]


def training_set(buffer: Sequence[Record]) -> list[Record]:
    """What the cycle trained on: salience from 0.6, the most salient first."""
    return sorted((r for r in buffer if r.salience >= 0.6), key=lambda r: -r.salience)


def held_out(later: Sequence[Record], trained: Sequence[Record], count: int) -> list[Record]:
    """At most `count` distinct exchanges of the later buffer that were not trained on."""
    seen = {(r.prompt, r.response) for r in trained}
    fresh = [r for r in {(r.prompt, r.response): r for r in later}.values() if (r.prompt, r.response) not in seen]
    return random.Random(0).sample(fresh, min(count, len(fresh)))


def decision(tokenizer: object, record: Record) -> Decision:
    """System prompt and question as context, the response as reply, weighted by salience."""
    chat = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": record.prompt}]
    return Decision(tuple(prompt_ids(tokenizer, chat)), tuple(reply_ids(tokenizer, record.response)), record.salience)


def token_losses(model: nn.Module, item: Decision) -> Tensor:
    """Negative log-likelihood [T-1] in nats of every token of a decision but the first."""
    ids_T = torch.tensor([*item.context, *item.reply], device=next(model.parameters()).device)
    logits_TV = model(input_ids=ids_T[None]).logits[0, :-1].float()
    return nn.functional.cross_entropy(logits_TV, ids_T[1:], reduction="none")


@torch.no_grad()
def examine(model: nn.Module, items: Sequence[Decision]) -> dict[str, np.ndarray]:
    """Mean loss of each record [R], over all its tokens and over those of its reply."""
    model.eval()
    per_record = [
        (loss.mean().item(), loss[-len(item.reply) :].mean().item())
        for item in items
        for loss in [token_losses(model, item)]
    ]
    return {"all tokens": np.array([a for a, _ in per_record]), "reply tokens": np.array([b for _, b in per_record])}


def published(model: nn.Module, items: Sequence[Decision], seed: int, epochs: int = 3) -> tuple[nn.Module, list[float]]:
    """The recipe of the cycles as their code has it: batch 1, one fixed order, loss times salience, AdamW at 1e-5.

    Returns:
        the model with its adapter, and the mean training loss of each epoch (dropout on), as the cycles printed it.
    """
    torch.manual_seed(seed)
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], lora_dropout=0.05, bias="none", task_type="CAUSAL_LM"
    )
    student = get_peft_model(model, config).train()
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1e-5)
    means = []
    for _ in range(epochs):
        total = 0.0
        for item in items:
            loss = token_losses(student, item).mean()
            (loss * item.weight).backward()
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item()
        means.append(total / len(items))
    return student, means


def ordinary(engine: Engine, count: int) -> list[Decision]:
    """Anchors: ordinary messages with the base's own greedy answers."""
    lines = files("slowwave.dream").joinpath("data/ordinary.jsonl").read_text(encoding="utf-8").splitlines()
    chats = [[{"role": "user", "content": json.loads(line)["text"]}] for line in random.Random(0).sample(lines, count)]
    answers = [replies[0].text for replies in engine.generate(chats, max_new_tokens=32)]
    pairs = [(chat, answer) for chat, answer in zip(chats, answers, strict=True) if answer]
    encode = engine.tokenizer
    return [
        Decision(tuple(prompt_ids(encode, chat)), tuple(reply_ids(encode, answer)), lesson=False)
        for chat, answer in pairs
    ]


def replay(cycle: Cycle, args: argparse.Namespace) -> list[Row]:
    """Train both recipes on one cycle's records, each seed in a process of its own, and tabulate the losses."""
    seeds = range(1 if args.smoke else args.seeds)
    runs = {recipe: Run() for recipe in RECIPES}
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(run_seed, cycle, args, seed) for seed in seeds]):
            count, before, of_seed = done.result()
            for recipe, run in runs.items():
                run.add(of_seed[recipe])
                print(f"{cycle.name}, {recipe}: a seed done in {of_seed[recipe].seconds[0]:.0f} s", flush=True)
    return rows(cycle, before, runs, count)


def run_seed(cycle: Cycle, args: argparse.Namespace, seed: int) -> tuple[int, Losses, dict[str, Run]]:
    """Both recipes with one seed.

    Returns:
        how many records were trained on, the losses of the base, and what each recipe did.
    """
    smoke = args.smoke
    trained = training_set(read(args.data / f"{cycle.name}.json"))
    unseen = held_out(read(args.data / f"{cycle.later}.json"), trained, 2 if smoke else HELD_OUT)
    if smoke:
        trained = trained[:2]
    engine = Engine.load(args.model, dtype="float32")  # changes of a thousandth are lost in bfloat16
    sets = {
        name: [decision(engine.tokenizer, r) for r in part]
        for name, part in (("training", trained), ("held-out", unseen))
    }
    settings = preset("adapter", min_steps=1, **({"epochs": 1.0, "anchor_batch": 2} if smoke else {"epochs": 3.2}))
    anchors = ordinary(engine, 4 if smoke else ANCHORS + WATCHED)
    watch, anchors = (anchors[:2], anchors[2:]) if smoke else (anchors[:WATCHED], anchors[WATCHED:])
    watched = list(zip(watch, targets(engine.model, watch, settings.teacher_top_k, settings.micro_tokens), strict=True))
    before = losses(engine.model, sets)
    runs = {}
    for recipe in RECIPES:
        student: nn.Module = Engine.load(args.model, dtype="float32").model
        run = runs[recipe] = Run()
        began = time.perf_counter()
        if recipe == "ours":
            train(student, sets["training"], anchors, settings, seed=seed)
        else:
            wrapped, epochs = published(student, sets["training"], seed, epochs=2 if smoke else 3)
            run.epochs.append(100 * (epochs[-1] / epochs[0] - 1))
            student = wrapped.base_model.model  # type: ignore[assignment,union-attr]
        run.seconds.append(time.perf_counter() - began)
        run.losses = {key: [loss_R] for key, loss_R in losses(student, sets).items()}
        run.drift.append(drift(student, watched, settings))
    return len(trained), before, runs


def losses(model: nn.Module, sets: dict[str, list[Decision]]) -> Losses:
    """The losses [R] of each set of records, over all tokens and over reply tokens."""
    return {(name, tokens): loss for name, items in sets.items() for tokens, loss in examine(model, items).items()}


def rows(cycle: Cycle, before: Losses, runs: dict[str, Run], count: int) -> list[Row]:
    """One row for each loss, its change relative to the mean before, the drift and the seconds."""
    head = f"{cycle.name} ({count} records)"
    out = [_row(f"{head}: base, {name}, {tokens}, nats", bootstrap(loss)) for (name, tokens), loss in before.items()]
    log = 100 * (cycle.last / cycle.first - 1)
    out.append(Row(f"{head}: published log, training loss epoch 1 to 3, change in %", log, log, log))
    for recipe, run in runs.items():
        if run.epochs:
            out.append(_row(f"{head}: {recipe}, training loss epoch 1 to 3, change in %", _over_seeds(run.epochs)))
        for (name, tokens), losses in run.losses.items():
            after_SR, base_R = np.stack(losses), before[name, tokens]
            record_SR = np.broadcast_to(np.arange(base_R.size), after_SR.shape)
            change = bootstrap(100 * (after_SR - base_R) / base_R.mean(), record_SR)
            out.append(_row(f"{head}: {recipe}, {name}, {tokens}, nats", bootstrap(after_SR, record_SR)))
            out.append(_row(f"{head}: {recipe}, {name}, {tokens}, change in %", change))
        out.append(_row(f"{head}: {recipe}, drift on ordinary answers, nats a token", _over_seeds(run.drift)))
        out.append(_row(f"{head}: {recipe}, seconds of training", _over_seeds(run.seconds)))
    return out


def _row(figure: str, interval: Interval) -> Row:
    return Row(figure, interval.value, interval.low, interval.high)


def _over_seeds(values: Sequence[float]) -> Interval:
    return interval_over_seeds(values) if len(values) > 1 else Interval(values[0], values[0], values[0])


def main() -> None:
    """Read the command line, replay each cycle, print the table."""
    cache = (
        os.environ.get("SLOWWAVE_CACHE")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slowwave"
    )
    root = Path(__file__).resolve().parents[2]
    parser = arguments("Replay SAGE's published sleep cycles: their recipe and ours.")
    parser.add_argument("--data", type=Path, default=root / "shared/data/sage", help="folder of the SAGE buffers")
    parser.add_argument(
        "--model", type=Path, default=Path(cache) / "models/smollm2-135m-instruct", help="folder of the base model"
    )
    parser.add_argument("--workers", type=int, default=1, help="seeds at once; one on a CPU")
    parser.add_argument("--cycle", choices=[c.name for c in CYCLES], help="one cycle only")
    args = parser.parse_args()
    needed = {f"{name}.json" for c in CYCLES for name in (c.name, c.later)}
    if not all((args.data / name).is_file() for name in needed):
        print("data not found: skipped")
        return
    chosen = [c for c in CYCLES[: 1 if args.smoke else None] if args.cycle in (None, c.name)]
    finish([row for cycle in chosen for row in replay(cycle, args)], args)


if __name__ == "__main__":
    main()
