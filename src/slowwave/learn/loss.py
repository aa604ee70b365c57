"""What a step minimises: weighted means of cross-entropies and forward KLs over decisions, and its gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from slowwave.learn.decision import Collate, Decision, collate, micro_batches, reply_hidden
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
) -> dict[str, float]:
    """Gradients of one step, in micro-batches of like length: of each term's weight times the mean over its decisions,
    each of which counts by its weight and not by its length. Returns the means and the loss."""
    chosen = [(pair, name) for name, (_, pairs) in terms.items() for pair in pairs]
    mass = {name: sum(decision.weight for decision, _ in pairs) or 1.0 for name, (_, pairs) in terms.items()}
    means = dict.fromkeys(terms, 0.0)
    for rows in micro_batches([decision for (decision, _), _ in chosen], micro_tokens):
        part = [chosen[row] for row in rows]
        with torch.autocast(device.type, torch.bfloat16, enabled=half(model)):
            loss_B = losses(model, [pair for pair, _ in part], device, pack)
        share = [decision.weight / mass[name] for (decision, _), name in part]
        weighted = [terms[name][0] * one for one, (_, name) in zip(share, part, strict=True)]
        (loss_B * torch.tensor(weighted, device=device)).sum().backward()
        for one, (_, name), loss in zip(share, part, loss_B.tolist(), strict=True):
            means[name] += one * loss
    return {"loss": sum(terms[name][0] * mean for name, mean in means.items()), **means}


def losses(
    model: nn.Module,
    part: Sequence[Pair],
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
