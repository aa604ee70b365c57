"""Nights of many personas in one: their decisions share every pass over the base, and nothing else.

Each persona has its own adapter, optimizer state, draws, learning rate and loss, so that its weights come out as from
a night alone (`train.py`, which is this module's twin). Adapters act from the reply's header on: what comes before is
the base's, and may be shared.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from slowwave.errors import SettingsError, TrainingError
from slowwave.learn import adapter
from slowwave.learn.ahead import Ahead, merged
from slowwave.learn.captured import Captured
from slowwave.learn.compiled import compiled
from slowwave.learn.decision import Decision
from slowwave.learn.freezing import After, header
from slowwave.learn.loss import Prepared, Run, Terms, drift, half, launched, micro_step
from slowwave.learn.plan import Taught, plan, rate
from slowwave.learn.settings import LearnSettings
from slowwave.learn.stack import Stack
from slowwave.learn.starts import Starts
from slowwave.learn.teacher import teach
from slowwave.learn.weights import Weights


@dataclass(frozen=True)
class Night:
    """One persona's: as the arguments of `train.train`."""

    lessons: Sequence[Decision]
    anchors: Sequence[Decision] = ()
    seed: int = 0
    start: Path | None = None
    watch: Sequence[Decision] = ()


@dataclass
class Learned:
    """What a persona's night came to; `weights(model)` opens it."""

    night: Night
    settings: LearnSettings
    header: list[int]
    values: dict[str, Tensor] = field(default_factory=dict)
    steps: int = 0
    skipped: int = 0
    stopped: str = "finished"
    metrics: list[dict[str, float]] = field(default_factory=list)

    def weights(self, model: nn.Module) -> Weights:
        """The night's weights inside `model`, to walk back, save and release, as after a night alone."""
        weights = Weights(model, self.settings, self.night.start, self.night.seed)
        weights.header, weights.slow = self.header, self.values
        weights.at(1.0)
        return weights


def train_together(
    model: Any,
    nights: Sequence[Night],
    settings: LearnSettings,
    *,
    deadline: float = math.inf,
    on_step: Callable[[int, int], Any] | None = None,
) -> list[Learned]:
    """Train each night's lessons in and hold its anchors still, all in the same passes.

    Args:
        model: a transformers causal model; it is given back as it was.
        settings: of all; with a context that is frozen, and AdamW.
        on_step: called with (step, steps of the longest night).

    Raises:
        SettingsError: settings under which personas would touch each other. TrainingError: a night without lessons,
            without one header, or adapters of different shapes. A night with too many non-finite steps, or that drifts
            beyond its bound, ends by itself.
    """
    if settings.context != "frozen" or settings.optimizer != "adamw" or settings.dropout or settings.release_gradients:
        raise SettingsError(
            "Personas train together after frozen contexts, with AdamW, without dropout, and keep their gradients.",
            "Set learn.context=frozen, learn.optimizer=adamw, learn.dropout=0 and learn.release_gradients=false.",
        )
    if not nights or not all(night.lessons for night in nights):
        raise TrainingError("There is nothing to train on in one of the nights.", "Leave it out.")
    with adapter.silent(model):
        out, starts, scales = list[Learned](), list[dict[str, Tensor]](), set[float]()
        opened = Starts(model, settings)
        for night in nights:
            mark = header([*night.lessons, *night.anchors, *night.watch])
            start, config = opened.open(night.start, night.seed)
            if night.start is not None and config.alora_invocation_tokens != mark:
                raise TrainingError("A served version acts from another header on.", "Undo it, or teach it alone.")
            out.append(Learned(night, settings, mark))
            starts.append(start)
            scales.add(config.lora_alpha / config.r)
        stack = Stack(starts, scales)
        with stack.acting(model), compiled(model, products=False):  # they have other adapters each time
            _loop(model, out, stack, settings, deadline, on_step)
    return out


def _loop(
    model: Any, out: list[Learned], stack: Stack, settings: LearnSettings, deadline: float,
    on_step: Callable[[int, int], Any] | None,
) -> None:  # fmt: skip
    pack = After(model, frozen=True, apart=True)
    device = next(model.parameters()).device
    run = Captured(list(stack.tensors.values())).step if device.type == "cuda" else micro_step
    ahead = Ahead(_plans(model, out, settings, pack), pack, settings.micro_tokens, device)
    watched = [replace(one, persona=p) for p, mine in enumerate(out) for one in mine.night.watch]
    stays = teach(model, watched, settings, pack.for_base())
    rows = [nn.Parameter(row) for row in stack.values_PE.detach()]  # the same memory, as one parameter a persona
    lengths = [settings.steps(len(one.night.lessons)) for one in out]
    groups = [
        {"params": [rows[p] for p, own in enumerate(lengths) if own == steps], "steps": steps} for steps in {*lengths}
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    slow_PE = stack.values_PE.detach().clone()
    for step in range(max(lengths)):
        if time.monotonic() > deadline:
            for p, one in enumerate(out):
                one.stopped = "out of time" if step < lengths[p] and one.stopped == "finished" else one.stopped
            break
        awake = [p for p, one in enumerate(out) if step < lengths[p] and one.stopped == "finished"]
        if not awake:
            break
        terms, works = ahead.step(awake)
        stack.grads_PE.zero_()
        read = _gradients(model, stack, terms, works, settings, run)
        if coming := [p for p in awake if step + 1 < lengths[p]]:
            ahead.look(coming)
        found = read()
        if len(awake) > 1 and not all(map(_finite, found.values())):  # a NaN may have spread: whose was it?
            stack.grads_PE.zero_()
            for p in awake:
                alone = {p: terms[p]}
                found |= _gradients(model, stack, alone, ahead.packed(alone), settings, run)()
        moved = [p for p in awake if _finite(found[p])]
        for group in optimizer.param_groups:  # nights of a length go the same way, as one
            group["lr"] = settings.lr * rate(step, group["steps"], settings.warmup)
        for p in awake:
            out[p].metrics.append({**found[p], "step": step})
            out[p].steps = step + 1
            out[p].skipped += p not in moved
            if out[p].skipped > settings.max_skipped:
                out[p].stopped = f"{out[p].skipped} steps had a non-finite loss or gradient"
        for p, row in enumerate(rows):
            row.grad = stack.grads_PE[p] if p in moved else None  # without one its moments stay as they are
        optimizer.step()
        keep = min(settings.ema, (1 + step) / (10 + step)) if settings.ema else 0.0
        with torch.no_grad():
            for p in moved:
                slow_PE[p].lerp_(stack.values_PE[p], 1 - keep)
        if watched and (step + 1) % settings.drift_every == 0:
            for p in awake:
                mine = [(one, stays[one]) for one in watched if one.persona == p]
                if not mine:
                    continue
                drifted = out[p].metrics[-1]["drift"] = drift(model, mine, settings, pack)
                if not drifted <= settings.drift_bound and out[p].stopped == "finished":  # NaN stops too
                    out[p].stopped = f"drift {drifted:.3f} passed its bound of {settings.drift_bound}"
        if on_step is not None:
            on_step(step + 1, max(lengths))
    for p, one in enumerate(out):
        one.values = stack.named(slow_PE[p])


def _gradients(
    model: Any, stack: Stack, terms: Mapping[int, Terms], works: Iterable[Prepared], settings: LearnSettings, run: Run
) -> Callable[[], dict[int, dict[str, float]]]:
    """Add these personas' clipped gradients to the stack's. Returns what reads their losses and their norms."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="grad and param do not obey")  # the gradients are views, on purpose
        read = launched(model, merged(terms), works, run)
    norm_P = torch.linalg.vector_norm(stack.grads_PE, dim=1)
    share_P = (settings.clip / (norm_P + 1e-6)).clamp(max=1.0)  # as nn.utils.clip_grad_norm_
    others = [p for p in range(len(share_P)) if p not in terms]
    if others:
        share_P[others] = 1.0
    stack.grads_PE.mul_(share_P[:, None])

    def told() -> dict[int, dict[str, float]]:
        means, norms = read(), norm_P.tolist()
        return {p: {name: means[f"{p} {name}"] for name in mine} | {"grad_norm": norms[p]} for p, mine in terms.items()}

    return told


def _finite(figures: dict[str, float]) -> bool:
    return all(map(math.isfinite, figures.values()))


def _plans(model: Any, out: list[Learned], settings: LearnSettings, pack: After) -> list[Iterator[Terms]]:
    """Each persona's batches, with what its anchors' teachers say: the base, and the version that it starts from."""
    kept = [[a for a in one.night.anchors if not a.from_start and settings.kl_weight] for one in out]
    rehearsed = [[a for a in one.night.anchors if a.from_start and settings.rehearsal_weight] for one in out]
    of_base = teach(model, [a for mine in kept for a in mine], settings, pack.for_base())  # it says the same to all
    marked = [[replace(a, persona=p) for a in mine] for p, mine in enumerate(rehearsed)]
    device = next(model.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=half(model)):
        of_start = teach(model, [a for mine in marked for a in mine], settings, pack)
    plans = []
    for p, one in enumerate(out):
        again: list[Taught] = [(a, of_start[a]) for a in marked[p]]
        taught: list[Taught] = [(a, of_base[a]) for a in kept[p]]
        plans.append(plan(list(one.night.lessons), taught, again, settings, one.night.seed))
    return plans
