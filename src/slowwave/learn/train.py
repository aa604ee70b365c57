"""The training loop of a night: many small steps, the lesson's cross-entropy against the anchors' forward KL.

It knows token ids and weights; nothing of users, stores or nights. `tests/unit/learn/twin.py` is the same algorithm in
forty plain lines, and a test holds the two together.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from slowwave.errors import SettingsError, TrainingError
from slowwave.learn import several
from slowwave.learn.apollo import Apollo
from slowwave.learn.captured import Captured
from slowwave.learn.compiled import compiled
from slowwave.learn.context import SHORT
from slowwave.learn.decision import Collate, Decision, collate
from slowwave.learn.freezing import After, Disk, header, packer
from slowwave.learn.loss import backward, drift, half, micro_step
from slowwave.learn.plan import Taught, plan, rate
from slowwave.learn.released import Released
from slowwave.learn.settings import LearnSettings
from slowwave.learn.teacher import targets, teach
from slowwave.learn.trunk import Trunk
from slowwave.learn.weights import Weights, first_trained, lora_config

_APART = 1_000_003  # between the seeds of two rounds


@dataclass
class Trained:
    """A night's training: the weights (still in the model) and what happened. Call `weights.release()` when done."""

    weights: Weights
    steps: int = 0
    stopped: str = "finished"  # or why it ended early
    skipped: int = 0  # non-finite steps
    seconds: float = 0.0
    metrics: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """What a part of a night trains."""

    lessons: Sequence[Decision]
    steps: int
    anchors: Sequence[Decision] | None = None  # which of the night's; None: all
    anneal: bool = False  # the learning rate falls on from where the last round left it; else it begins anew
    later: int = 0  # steps that are likely to come after it


def train(
    model: nn.Module,
    lessons: Sequence[Decision],
    anchors: Sequence[Decision],
    settings: LearnSettings,
    *,
    seed: int = 0,
    start: Path | None = None,
    watch: Sequence[Decision] = (),
    deadline: float = math.inf,
    on_step: Callable[[int, int, dict[str, float]], Any] | None = None,
    disk: Disk | None = None,
    rounds: Iterable[Round] | None = None,
) -> Trained:
    """Train `lessons` in and hold `anchors` still.

    Args:
        model: a transformers causal model; it answers with the new weights afterwards.
        lessons: decisions with `lesson=True`, learned by cross-entropy on the reply, weighted.
        anchors: decisions whose reply distribution must stay: the base's, or, in batches of their own, the starting
            version's: what earlier nights taught.
        start: folder of the version to go on from; None starts from the base.
        watch: anchors that are never trained on; the drift is read off them.
        deadline: `time.monotonic()` value after which no further step begins.
        on_step: called with (step, steps, metrics); an exception from it ends the training and passes through.
        disk: where long contexts are kept that the base reads; None keeps them for this night.
        rounds: what is trained, one after the other, in place of all `lessons` with all `anchors` at once. Each is
            asked for when the one before is over, and the model then answers with the weights as they are by then.

    Raises:
        TrainingError: nothing to learn, or too many non-finite steps.
        SettingsError: noise where nothing lies below the trained layers, or where the base reads contexts.
    """
    if not lessons:
        raise TrainingError(
            "There is nothing to train on: no scene survived.", "See scenes.jsonl in the night's folder."
        )
    if several.count() > 1 and settings.release_gradients:
        raise TrainingError("Several processes add their gradients up.", "Set learn.release_gradients to false.")
    began = time.monotonic()
    kept = [a for a in anchors if not a.from_start] if settings.kl_weight else []
    rehearsed = [a for a in anchors if a.from_start] if settings.rehearsal_weight else []
    plain, frozen = _in_one_pass(model, settings, start), _frozen(model, settings, start)
    if settings.noise and (frozen or plain is collate):
        raise SettingsError(
            "There is no layer below the trained ones that noise could be added to.", "Set learn.noise to 0."
        )
    pack = packer(model, frozen=frozen, detached=settings.context == "detached", plain=plain, disk=disk)
    by_base = pack if frozen else plain  # the base reads the contexts then and now, so what it read is kept
    of_base = teach(model, kept, settings, by_base)
    watch_targets = targets(model, watch, settings.teacher_top_k, settings.micro_tokens, by_base) if watch else []
    weights = Weights(model, settings, start, seed)
    result = Trained(weights)
    try:
        if start is None and frozen:
            weights.header = header([*lessons, *anchors, *watch])
        device = next(model.parameters()).device
        long = isinstance(pack, After) and any(len(one.frozen) > SHORT for one in [*lessons, *kept, *rehearsed])
        with torch.random.fork_rng(), compiled(model) if long else nullcontext():
            torch.manual_seed(seed)  # dropout draws too
            with torch.autocast(device.type, torch.bfloat16, enabled=half(model)):  # as in the steps
                of_start = teach(model, rehearsed, settings, pack)
            _loop(
                result,
                [Round(lessons, settings.steps(len(lessons)))] if rounds is None else rounds,
                [(a, of_base[a]) for a in kept],
                [(a, of_start[a]) for a in rehearsed],
                settings,
                seed,
                list(zip(watch, watch_targets, strict=True)),
                deadline,
                on_step,
                pack,
            )
        if isinstance(pack, After):
            pack.close()
    except BaseException:
        weights.release()
        raise
    weights.finish()
    result.seconds = time.monotonic() - began
    return result


def _loop(
    result: Trained,
    rounds: Iterable[Round],
    kept: list[Taught],
    rehearsed: list[Taught],
    settings: LearnSettings,
    seed: int,
    watch: list[Taught],
    deadline: float,
    on_step: Callable[[int, int, dict[str, float]], Any] | None,
    pack: Collate,
) -> None:
    weights, model = result.weights, result.weights.model
    device = next(model.parameters()).device
    trainable = list(weights.trainable.values())
    for parameter in trainable:
        parameter.requires_grad_(True)
    optimizer = _optimizer(trainable, settings, seed)
    released = Released(trainable, optimizer) if settings.release_gradients else None
    on_gpu = isinstance(pack, After) and device.type == "cuda"
    captured = Captured(trainable) if on_gpu and not released and not several.sharded(model) else None
    run = released.measure if released else captured.step if captured else micro_step
    most = sys.maxsize if released else settings.micro_tokens
    of_base = {pair[0]: pair for pair in kept}
    try:
        for number, one in enumerate(rounds):
            anchors = kept if one.anchors is None else [of_base[a] for a in one.anchors if a in of_base]
            terms = plan(list(one.lessons), anchors, rehearsed, settings, seed + _APART * number)
            before, of = result.steps, result.steps + one.steps + one.later
            model.train()  # dropout, where the preset has it
            for step in range(one.steps):
                if several.agreed(time.monotonic() > deadline, device):
                    result.stopped = "out of time"
                    return
                course = (result.steps, of) if one.anneal else (step, one.steps)
                for group in optimizer.param_groups:
                    group["lr"] = settings.lr * rate(*course, settings.warmup)
                metrics = several.added(trainable, backward(model, next(terms), most, device, pack, run, split=True))
                norm = released.norm() if released else several.clipped(trainable, settings.clip)
                if math.isfinite(norm) and math.isfinite(metrics["loss"]):
                    if released:
                        released.step(settings.clip)
                    else:
                        optimizer.step()
                    if settings.ema:
                        weights.average(settings.ema, before + step)
                else:
                    result.skipped += 1
                    if result.skipped > settings.max_skipped:
                        raise TrainingError(
                            f"{result.skipped} steps had a non-finite loss or gradient.", "Lower learn.lr."
                        )
                optimizer.zero_grad(set_to_none=captured is None)
                metrics |= {"step": before + step, "lr": optimizer.param_groups[0]["lr"], "grad_norm": norm}
                if watch and (before + step + 1) % settings.drift_every == 0:
                    metrics["drift"] = drift(model, watch, settings, pack)
                result.metrics.append(metrics)
                result.steps = before + step + 1
                if on_step is not None:
                    on_step(result.steps, of, metrics)
                if several.agreed(not metrics.get("drift", 0.0) <= settings.drift_bound, device):  # NaN stops too
                    result.stopped = f"drift {metrics['drift']:.3f} passed its bound of {settings.drift_bound}"
                    return
            model.eval()  # the next round may ask it
    finally:
        model.eval()
        for parameter in trainable:
            parameter.requires_grad_(False)
            parameter.grad = None


def _frozen(model: nn.Module, settings: LearnSettings, start: Path | None) -> bool:
    """Whether the base reads what comes before a reply: as the settings say, or the version that is gone on from."""
    if start is None or settings.preset == "full":
        return settings.context == "frozen"
    return bool(lora_config(settings, model, start).alora_invocation_tokens)


def _in_one_pass(model: nn.Module, settings: LearnSettings, start: Path | None) -> Collate:
    """How decisions are packed with their contexts: above what the layers that stay the base's made of them."""
    if settings.preset == "full" or settings.context != "trained":
        return collate
    config = lora_config(settings, model, start)
    first = first_trained(config)
    return Trunk(model, first, settings.noise).pack if first and not config.alora_invocation_tokens else collate


def _optimizer(trainable: list[nn.Parameter], settings: LearnSettings, seed: int) -> torch.optim.Optimizer:
    if settings.optimizer == "adamw":
        groups = [{"params": kind} for kind in several.kinds(trainable)]  # no fused step takes both
        return torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    mini: dict[str, Any] = (
        {"rank": 1, "scale": 128.0, "tensorwise": True} if settings.optimizer == "apollo_mini" else {}
    )
    return Apollo(trainable, settings.lr, weight_decay=settings.weight_decay, seed=seed, **mini)
