"""Log-probabilities of few tokens out of a vocabulary, without keeping the logits of all.

The vocabulary is the widest layer by far: float32 logits of a step's replies are some hundred megabytes, written and
read several times on the way forward and back. Here they live for a few rows at a time, and their gradient is taken
while they are there: d/dh log p(t) = W_t - sum_v p(v) W_v.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

_ROWS = 64  # of logits at a time on a CPU: 6 MB of a vocabulary of 49,152 in bfloat16
_BYTES = 64 << 20  # of float32 logits at a time on other devices: few launches, and little beside a model


def log_probs(hidden_ND: Tensor, head: nn.Module, tokens_NK: Tensor) -> Tensor:
    """log p of each row's K tokens [N, K], float32, by a head without a bias that is frozen, or trained as well."""
    if type(head) is not nn.Linear or head.weight.requires_grad:
        return cast("Tensor", head(hidden_ND)).float().log_softmax(-1).gather(1, tokens_NK)
    dtype = head.weight.dtype
    if torch.is_autocast_enabled(hidden_ND.device.type):
        dtype = torch.get_autocast_dtype(hidden_ND.device.type)
    return cast("Tensor", _LogProbs.apply(hidden_ND.to(dtype), head.weight.to(dtype), tokens_NK))


@torch.no_grad()
def top(hidden_ND: Tensor, head: Any, k: int) -> tuple[Tensor, Tensor]:
    """(tokens [N, k], log p [N, k]) of each row's k likeliest tokens."""
    rows = _rows(hidden_ND.device, head.weight.shape[0])
    found = [head(rows_RD).float().log_softmax(-1).topk(k, dim=-1) for rows_RD in hidden_ND.split(rows)]
    return torch.cat([tokens for _, tokens in found]), torch.cat([logp for logp, _ in found])


def _rows(device: torch.device, words: int) -> int:
    return _ROWS if device.type == "cpu" else max(_ROWS, _BYTES // (4 * words))


class _LogProbs(torch.autograd.Function):
    """Of a frozen weight [V, D]; rows of tokens [N, K]."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, tokens_NK: Tensor) -> Tensor:
        found, means = [], []
        rows = _rows(hidden_ND.device, len(weight_VD))
        for hidden_RD, tokens_RK in zip(hidden_ND.split(rows), tokens_NK.split(rows), strict=True):
            logits_RV = (hidden_RD @ weight_VD.T).float()
            chosen_RK = logits_RV.gather(1, tokens_RK)
            most_R1 = logits_RV.amax(-1, keepdim=True)
            mass_RV = logits_RV.sub_(most_R1).exp_()
            total_R1 = mass_RV.sum(-1, keepdim=True)
            found.append(chosen_RK - most_R1 - total_R1.log())
            if ctx.needs_input_grad[0]:
                means.append(mass_RV.div_(total_R1).to(weight_VD.dtype) @ weight_VD)  # the mean of W under p
        ctx.save_for_backward(torch.cat(means) if means else hidden_ND, weight_VD, tokens_NK)
        return torch.cat(found)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad_NK,) = grads
        mean_ND, weight_VD, tokens_NK = ctx.saved_tensors
        own_ND = (grad_NK.to(weight_VD.dtype)[:, None] @ weight_VD[tokens_NK])[:, 0]
        return own_ND - grad_NK.sum(-1, keepdim=True).to(weight_VD.dtype) * mean_ND, None, None
