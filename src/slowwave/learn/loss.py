"""What a step minimises: weighted means of cross-entropies and forward KLs over decisions, and its gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import cast

import torch
from torch import Tensor, nn

from slowwave.learn import several
from slowwave.learn.context import sent
from slowwave.learn.decision import Batch, Collate, Decision, collate, micro_batches, reply_hidden
from slowwave.learn.settings import LearnSettings
from slowwave.learn.teacher import Target, forward_kl
from slowwave.learn.vocabulary import log_probs

Pair = tuple[Decision, Target | None]  # a lesson, or an anchor with its target
Terms = Mapping[str, tuple[float, Sequence[Pair]]]  # by name, the weight of a mean and what it is taken over


def backward(
    model: nn.Module,
    terms: Terms,
    micro_tokens: int,
    device: torch.device,
    pack: Collate,
    run: Run | None = None,
    *,
    split: bool = False,
) -> dict[str, float]:
    """Gradients of one step, in micro-batches of like length: of each term's weight times the mean over its decisions,
    each of which counts by its weight and not by its length. Returns the means and the loss; `split`: of this
    process's share, which add up to the step's (`several.py`)."""
    return launched(model, terms, prepared(terms, micro_tokens, device, pack, split=split), run)()


@dataclass(frozen=True)
class Prepared:
    """A micro-batch of B decisions as the device reads it, and how much each counts."""

    shares: Sequence[tuple[float, str]]  # of the mean that it belongs to, by name
    work: Work
    weight_B: Tensor  # of the loss


def prepared(
    terms: Terms, micro_tokens: int, device: torch.device, pack: Collate, *, split: bool = False
) -> Iterator[Prepared]:
    """The micro-batches of `backward`, each packed when it is asked for."""
    chosen = [(pair, name) for name, (_, pairs) in terms.items() for pair in pairs]
    mass = {name: sum(abs(decision.weight) for decision, _ in pairs) or 1.0 for name, (_, pairs) in terms.items()}
    decisions = [decision for (decision, _), _ in chosen]
    most = several.tokens_each(micro_tokens, sum(map(len, decisions))) if split else micro_tokens
    groups = micro_batches(decisions, most, pack)
    for rows, counts in several.share(groups) if split else zip(groups, repeat(1.0)):
        part = [chosen[row] for row in rows]
        shares = [(counts * decision.weight / mass[name], name) for (decision, _), name in part]
        weight_B = torch.tensor([terms[name][0] * one for one, name in shares])
        yield Prepared(shares, prepare([pair for pair, _ in part], device, pack), sent(weight_B, device))


def launched(
    model: nn.Module, terms: Terms, works: Iterable[Prepared], run: Run | None = None
) -> Callable[[], dict[str, float]]:
    """`backward` of micro-batches. Returns what reads the means and the loss: until it is called nothing waits for a
    GPU, which is given one micro-batch after the other."""
    found = [(work.shares, (run or micro_step)(model, work.work, work.weight_B)) for work in works]

    def read() -> dict[str, float]:
        means = dict.fromkeys(terms, 0.0)
        for shares, loss_B in found:
            for (one, name), loss in zip(shares, loss_B.tolist(), strict=True):
                means[name] += one * loss
        return {"loss": sum(terms[name][0] * mean for name, mean in means.items()), **means}

    return read


def micro_step(model: nn.Module, work: Work, weight_B: Tensor) -> Tensor:
    """Losses [B] of a micro-batch; their weighted sum's gradients are added to the parameters'."""
    loss_B, total = weighted(model, work, weight_B)
    total.backward()
    return loss_B.detach()


def weighted(model: nn.Module, work: Work, weight_B: Tensor) -> tuple[Tensor, Tensor]:
    """Losses [B] of a micro-batch and their weighted sum, in the precision of a step."""
    with torch.autocast(work.owner_N.device.type, torch.bfloat16, enabled=half(model)):
        loss_B = computed(model, work)
    return loss_B, (loss_B * weight_B).sum()


@dataclass(frozen=True)
class Work:
    """What the losses of B decisions are computed from, on the model's device. N reply tokens, lessons' first; A of
    them are of anchors."""

    batch: Batch
    owner_N: Tensor  # whose loss a token adds to
    share_N: Tensor  # one over the tokens of its reply
    lessons: int  # N - A
    tokens_AK: Tensor | None  # what the teacher thinks likeliest, and how likely
    logp_AK: Tensor | None
    count: int  # B


Run = Callable[[nn.Module, Work, Tensor], Tensor]


def prepare(part: Sequence[Pair], device: torch.device, pack: Collate = collate) -> Work:
    """Pack decisions with their targets."""
    order = sorted(range(len(part)), key=lambda row: part[row][1] is not None)  # each kind's logits are one slice
    batch = pack([part[row][0] for row in order], device)
    taught = [target for row in order if (target := part[row][1]) is not None]
    share_B = sent(torch.tensor([1 / len(part[row][0].reply) for row in order]), device)
    return Work(
        batch,
        sent(torch.tensor(order), device)[batch.rows_N],
        share_B[batch.rows_N],
        len(batch.rows_N) - sum(len(target.tokens_TK) for target in taught),
        sent(torch.cat([target.tokens_TK for target in taught]), device) if taught else None,
        sent(torch.cat([target.logp_TK for target in taught]), device) if taught else None,
        len(part),
    )


def losses(model: nn.Module, part: Sequence[Pair], device: torch.device, pack: Collate = collate) -> Tensor:
    """[B], each decision's mean over its reply tokens: forward KL from its target, or cross-entropy without one."""
    return computed(model, prepare(part, device, pack))


def computed(model: nn.Module, work: Work) -> Tensor:
    """`losses` of what was prepared."""
    hidden_ND, head = reply_hidden(model, work.batch), cast("nn.Module", model.lm_head)
    found = []
    if work.lessons:
        words_N1 = work.batch.targets_N[: work.lessons, None]
        found.append(-log_probs(hidden_ND[: work.lessons], head, words_N1)[:, 0])
    if work.tokens_AK is not None and work.logp_AK is not None:
        found.append(forward_kl(log_probs(hidden_ND[work.lessons :], head, work.tokens_AK), work.logp_AK))
    loss_N = torch.cat(found) * work.share_N
    return loss_N.new_zeros(work.count).index_add(0, work.owner_N, loss_N)


@torch.no_grad()
def drift(
    model: nn.Module, watch: Sequence[tuple[Decision, Target]], settings: LearnSettings, pack: Collate = collate
) -> float:
    """Mean forward KL to the base on watched anchors, nats a token."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    total = 0.0
    for rows in micro_batches([decision for decision, _ in watch], settings.micro_tokens, pack):
        part = [watch[row] for row in rows]
        with torch.autocast(device.type, torch.bfloat16, enabled=half(model)):
            loss_B = losses(model, part, device, pack)
        total += sum(decision.weight * loss for (decision, _), loss in zip(part, loss_B.tolist(), strict=True))
    model.train(was_training)
    return total / (sum(decision.weight for decision, _ in watch) or 1.0)


def half(model: nn.Module) -> bool:
    """Whether the model computes in bfloat16: its embeddings say so, or it was loaded for it."""
    return bool(
        getattr(model, "dtype", torch.float32) == torch.bfloat16
        or getattr(model.config, "dtype", None) == torch.bfloat16
    )
