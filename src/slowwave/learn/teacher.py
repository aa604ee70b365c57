"""The frozen teacher's distribution over the replies of anchors, kept as its top k with the remaining mass.

Forward KL over the k tokens and one remainder class is a lower bound of the full KL (merging classes cannot raise a
divergence); with k = 64 it keeps nearly all of it (tests/unit/learn/test_teacher.py shows the gap).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from slowwave.learn.decision import Collate, Decision, collate, micro_batches, reply_hidden
from slowwave.learn.settings import LearnSettings
from slowwave.learn.vocabulary import top


@dataclass(frozen=True)
class Target:
    """Per reply token: the teacher's k likeliest tokens [T, k] and their log-probabilities [T, k], float32."""

    tokens_TK: Tensor
    logp_TK: Tensor


@torch.no_grad()
def targets(
    model: Any,
    anchors: Sequence[Decision],
    k: int,
    micro_tokens: int,
    pack: Collate = collate,
) -> list[Target]:
    """What `model` as it stands now predicts on each anchor's reply. Kept on the CPU."""
    device = next(model.parameters()).device
    out: list[Target | None] = [None] * len(anchors)
    for chosen in micro_batches(anchors, micro_tokens, pack):
        batch = pack([anchors[i] for i in chosen], device)
        tokens_NK, logp_NK = top(reply_hidden(model, batch), model.lm_head, k)
        for row, i in enumerate(chosen):
            mine = batch.rows_N == row
            out[i] = Target(tokens_NK[mine].cpu(), logp_NK[mine].cpu())
    return [target for target in out if target is not None]


def teach(
    model: Any, anchors: Sequence[Decision], settings: LearnSettings, pack: Collate = collate
) -> dict[Decision, Target]:
    """What the model as it stands predicts on each anchor; one that is there twice is asked once."""
    once = list(dict.fromkeys(anchors))
    return dict(zip(once, targets(model, once, settings.teacher_top_k, settings.micro_tokens, pack), strict=True))


def forward_kl(student_NK: Tensor, teacher_NK: Tensor) -> Tensor:
    """KL(teacher || student) per token [N] in nats, over the teacher's top k and the remainder, of both models'
    log-probabilities of those k."""
    mass_NK = teacher_NK.exp()
    kl_N = (mass_NK * (teacher_NK - student_NK)).sum(-1)
    rest_teacher_N = (1 - mass_NK.sum(-1)).clamp_min(1e-6)
    rest_student_N = (1 - student_NK.exp().sum(-1)).clamp_min(1e-6)
    return kl_N + rest_teacher_N * (rest_teacher_N / rest_student_N).log()
