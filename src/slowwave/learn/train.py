"""The training loop of a night: many small steps, the lesson's cross-entropy against the anchors' forward KL.

It knows token ids and weights; nothing of users, stores or nights. `tests/unit/learn/twin.py` is the same algorithm in
forty plain lines, and a test holds the two together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from slowwave.errors import TrainingError
from slowwave.learn.apollo import Apollo
from slowwave.learn.decision import Decision, collate, micro_batches, reply_hidden
from slowwave.learn.freezing import Collate, header, packer
from slowwave.learn.settings import LearnSettings
from slowwave.learn.teacher import Target, forward_kl, targets
from slowwave.learn.vocabulary import log_probs
from slowwave.learn.weights import Weights


@dataclass
class Trained:
    """A night's training: the weights (still in the model) and what happened. Call `weights.release()` when done."""

    weights: Weights
    steps: int = 0
    stopped: str = "finished"  # or why it ended early
    skipped: int = 0  # non-finite steps
    seconds: float = 0.0
    metrics: list[dict[str, float]] = field(default_factory=list)


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

    Raises:
        TrainingError: nothing to learn, or too many non-finite steps.
    """
    if not lessons:
        raise TrainingError(
            "There is nothing to train on: no scene survived.", "See scenes.jsonl in the night's folder."
        )
    began = time.monotonic()
    kept = [a for a in anchors if not a.from_start] if settings.kl_weight else []
    rehearsed = [a for a in anchors if a.from_start] if settings.rehearsal_weight else []
    of_base = _teach(model, kept, settings)
    watch_targets = targets(model, watch, settings.teacher_top_k, settings.micro_tokens) if watch else []
    weights = Weights(model, settings, start, seed)
    result = Trained(weights)
    try:
        if start is None and settings.context == "frozen":
            weights.header = header([*lessons, *anchors, *watch])
        pack = packer(model, frozen=bool(weights.header), detached=settings.context == "detached")
        device = next(model.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=_half(model)):  # as in the steps: masters are float32
            of_start = _teach(model, rehearsed, settings, pack)
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # dropout draws too
            _loop(
                result,
                list(lessons),
                [(a, of_base[a]) for a in kept],
                [(a, of_start[a]) for a in rehearsed],
                settings,
                seed,
                list(zip(watch, watch_targets, strict=True)),
                deadline,
                on_step,
                pack,
            )
    except BaseException:
        weights.release()
        raise
    weights.finish()
    result.seconds = time.monotonic() - began
    return result


def _teach(
    model: nn.Module, anchors: list[Decision], settings: LearnSettings, pack: Collate = collate
) -> dict[Decision, Target]:
    """What the model as it stands predicts on each anchor; one that is there twice is asked once."""
    once = list(dict.fromkeys(anchors))
    return dict(zip(once, targets(model, once, settings.teacher_top_k, settings.micro_tokens, pack), strict=True))


def _loop(
    result: Trained,
    lessons: list[Decision],
    anchors: list[tuple[Decision, Target]],
    rehearsed: list[tuple[Decision, Target]],
    settings: LearnSettings,
    seed: int,
    watch: list[tuple[Decision, Target]],
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
    steps = settings.steps(len(lessons))
    lesson_draw = _draws(len(lessons), settings.lesson_batch, seed)
    anchor_draw = _draws(len(anchors), settings.anchor_batch, seed + 1)
    rehearsal_draw = _draws(len(rehearsed), settings.rehearsal_batch, seed + 2)
    model.train()  # dropout, where the preset has it
    try:
        for step in range(steps):
            if time.monotonic() > deadline:
                result.stopped = "out of time"
                break
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * rate(step, steps, settings.warmup)
            metrics = _backward(
                model,
                {
                    "cross_entropy": (1.0, [(lessons[i], None) for i in next(lesson_draw)]),
                    "kl": (settings.kl_weight, [anchors[i] for i in next(anchor_draw)]),
                    "kl_rehearsed": (settings.rehearsal_weight, [rehearsed[i] for i in next(rehearsal_draw)]),
                },
                settings.micro_tokens,
                device,
                pack,
            )
            norm = float(nn.utils.clip_grad_norm_(trainable, settings.clip))
            if math.isfinite(norm) and math.isfinite(metrics["loss"]):
                optimizer.step()
                if settings.ema:
                    weights.average(settings.ema, step)
            else:
                result.skipped += 1
                if result.skipped > settings.max_skipped:
                    raise TrainingError(f"{result.skipped} steps had a non-finite loss or gradient.", "Lower learn.lr.")
            optimizer.zero_grad(set_to_none=True)
            metrics |= {"step": step, "lr": optimizer.param_groups[0]["lr"], "grad_norm": norm}
            if watch and (step + 1) % settings.drift_every == 0:
                metrics["drift"] = drift(model, watch, settings, pack)
            result.metrics.append(metrics)
            result.steps = step + 1
            if on_step is not None:
                on_step(step + 1, steps, metrics)
            if not metrics.get("drift", 0.0) <= settings.drift_bound:  # NaN stops too
                result.stopped = f"drift {metrics['drift']:.3f} passed its bound of {settings.drift_bound}"
                break
    finally:
        model.eval()
        for parameter in trainable:
            parameter.requires_grad_(False)


def _backward(
    model: nn.Module,
    terms: dict[str, tuple[float, Sequence[tuple[Decision, Target | None]]]],
    micro_tokens: int,
    device: torch.device,
    pack: Collate,
) -> dict[str, float]:
    """Gradients of one step, in micro-batches of like length: of each term's weight times the mean over its decisions,
    each of which counts by its weight and not by its length. Returns the means and the loss."""
    chosen = [(pair, name) for name, (_, pairs) in terms.items() for pair in pairs]
    mass = {name: sum(decision.weight for decision, _ in pairs) or 1.0 for name, (_, pairs) in terms.items()}
    means = {name: 0.0 for name, (_, pairs) in terms.items() if pairs or name != "kl_rehearsed"}
    for rows in micro_batches([decision for (decision, _), _ in chosen], micro_tokens):
        part = [chosen[row] for row in rows]
        with torch.autocast(device.type, torch.bfloat16, enabled=_half(model)):
            loss_B = losses(model, [pair for pair, _ in part], device, pack)
        share = [decision.weight / mass[name] for (decision, _), name in part]
        weighted = [terms[name][0] * one for one, (_, name) in zip(share, part, strict=True)]
        (loss_B * torch.tensor(weighted, device=device)).sum().backward()
        for one, (_, name), loss in zip(share, part, loss_B.tolist(), strict=True):
            means[name] += one * loss
    return {"loss": sum(terms[name][0] * mean for name, mean in means.items()), **means}


def losses(
    model: nn.Module,
    part: Sequence[tuple[Decision, Target | None]],
    device: torch.device,
    pack: Collate = collate,
) -> Tensor:
    """[B], each decision's mean over its reply tokens: forward KL from its target, or cross-entropy without one."""
    order = sorted(range(len(part)), key=lambda row: part[row][1] is not None)  # each kind's logits are one slice
    batch = pack([part[row][0] for row in order], device)
    hidden_ND, head = reply_hidden(model, batch), cast("nn.Module", model.lm_head)
    taught = [target for row in order if (target := part[row][1]) is not None]
    split = len(hidden_ND) - sum(len(target.tokens_TK) for target in taught)
    found = []
    if split:
        found.append(-log_probs(hidden_ND[:split], head, batch.targets_N[:split, None])[:, 0])
    if taught:
        tokens_AK = torch.cat([target.tokens_TK for target in taught]).to(device)
        logp_AK = torch.cat([target.logp_TK for target in taught]).to(device)
        found.append(forward_kl(log_probs(hidden_ND[split:], head, tokens_AK), logp_AK))
    share_B = torch.tensor([1 / len(part[row][0].reply) for row in order], device=device)
    loss_N = torch.cat(found) * share_B[batch.rows_N]
    return loss_N.new_zeros(len(part)).index_add(0, torch.tensor(order, device=device)[batch.rows_N], loss_N)


def _optimizer(trainable: list[nn.Parameter], settings: LearnSettings, seed: int) -> torch.optim.Optimizer:
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(trainable, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    mini: dict[str, Any] = (
        {"rank": 1, "scale": 128.0, "tensorwise": True} if settings.optimizer == "apollo_mini" else {}
    )
    return Apollo(trainable, settings.lr, weight_decay=settings.weight_decay, seed=seed, **mini)


@torch.no_grad()
def drift(
    model: nn.Module, watch: Sequence[tuple[Decision, Target]], settings: LearnSettings, pack: Collate = collate
) -> float:
    """Mean forward KL to the base on watched anchors, nats a token."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    total = 0.0
    for rows in micro_batches([decision for decision, _ in watch], settings.micro_tokens):
        part = [watch[row] for row in rows]
        with torch.autocast(device.type, torch.bfloat16, enabled=_half(model)):
            loss_B = losses(model, part, device, pack)
        total += sum(decision.weight * loss for (decision, _), loss in zip(part, loss_B.tolist(), strict=True))
    model.train(was_training)
    return total / (sum(decision.weight for decision, _ in watch) or 1.0)


def rate(step: int, steps: int, warmup: int) -> float:
    """Share of the peak learning rate: linear warm-up, then a cosine to zero."""
    warmup = min(warmup, steps // 4)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _draws(count: int, size: int, seed: int) -> Iterator[list[int]]:
    """Endless batches: every item once before any comes again, each round in a new order."""
    generator = torch.Generator().manual_seed(seed)
    queue: list[int] = []
    while True:
        while count and len(queue) < size:
            queue += torch.randperm(count, generator=generator).tolist()
        yield queue[:size] if count else []
        queue = queue[size:]


def _half(model: nn.Module) -> bool:
    """Whether the model computes in bfloat16: its embeddings say so, or it was loaded for it."""
    return bool(
        getattr(model, "dtype", torch.float32) == torch.bfloat16
        or getattr(model.config, "dtype", None) == torch.bfloat16
    )
