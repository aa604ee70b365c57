"""Log-probabilities of few tokens out of a vocabulary, without keeping the logits of all.

The vocabulary is the widest layer by far: float32 logits of a step's replies are some hundred megabytes, written and
read several times on the way forward and back. Here they live for a few rows at a time, and their gradient is taken
while they are there: d/dh log p(t) = W_t - sum_v p(v) W_v.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

# of logits at a time on a CPU. In bfloat16 few, whose logits stay in the cache (6 MB of a vocabulary of 49,152); in
# float32 a product of so few rows runs at half the rate of one of these
_ROWS = {torch.bfloat16: 64, torch.float32: 256}
_BYTES = 128 << 20  # of float32 logits at a time on other devices: few launches, and little beside a model
_WORTH = 1 << 26  # logits of a GPU from which on it is worth a few seconds to compile what becomes of them


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
    rows = _rows(head.weight)
    found = [head(rows_RD).float().log_softmax(-1).topk(k, dim=-1) for rows_RD in hidden_ND.split(rows)]
    return torch.cat([tokens for _, tokens in found]), torch.cat([logp for logp, _ in found])


def _rows(weight_VD: Tensor) -> int:
    least = _ROWS.get(weight_VD.dtype, 64)
    return least if weight_VD.device.type == "cpu" else max(least, _BYTES // (4 * len(weight_VD)))


def _mass(logits_RV: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities [R, V], and the logs [R, 1] of what the exponentials were divided by, float32. Float32 logits are
    lost."""
    wide_RV = logits_RV.float()
    most_R1 = wide_RV.amax(-1, keepdim=True)
    mass_RV = wide_RV.sub_(most_R1).exp_()
    total_R1 = mass_RV.sum(-1, keepdim=True)
    return mass_RV.div_(total_R1).to(logits_RV.dtype), most_R1 + total_R1.log()


@cache
def _compiled() -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """`_mass` in two passes over the logits in place of seven."""
    return cast("Any", torch.compile(_mass))


class _LogProbs(torch.autograd.Function):
    """Of a frozen weight [V, D]; rows of tokens [N, K]."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, tokens_NK: Tensor) -> Tensor:
        found, means = [], []
        rows = _rows(weight_VD)
        mass = _compiled() if hidden_ND.is_cuda and len(hidden_ND) * len(weight_VD) >= _WORTH else _mass
        for hidden_RD, tokens_RK in zip(hidden_ND.split(rows), tokens_NK.split(rows), strict=True):
            logits_RV = hidden_RD @ weight_VD.T
            chosen_RK = logits_RV.gather(1, tokens_RK).float()
            mass_RV, scale_R1 = mass(logits_RV)
            found.append(chosen_RK - scale_R1)
            if ctx.needs_input_grad[0]:
                means.append(mass_RV @ weight_VD)  # the mean of W under p
        ctx.save_for_backward(torch.cat(means) if means else hidden_ND, weight_VD, tokens_NK)
        return torch.cat(found)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad_NK,) = grads
        mean_ND, weight_VD, tokens_NK = ctx.saved_tensors
        own_ND = (grad_NK.to(weight_VD.dtype)[:, None] @ weight_VD[tokens_NK])[:, 0]
        return own_ND - grad_NK.sum(-1, keepdim=True).to(weight_VD.dtype) * mean_ND, None, None
