"""APOLLO and APOLLO-Mini (Zhu et al., 2024, arXiv 2412.05270, algorithm 1): AdamW's rate for a channel, or for a whole
matrix, estimated in a random projection of the gradient, so that the moments are small.

    R = P G,  P [r, m] ~ N(0, 1/r)            the projection, drawn anew every `redraw` steps
    R~ = AdamW's step on R                    moments [r, n] in place of [m, n]
    s = |R~| / |R|                            by channel (column), or of the whole matrix
    W <- W - lr sqrt(scale) G diag(s)         no step's norm more than `growth` times the one before

Here m is the shorter side of a matrix. What is no matrix (norms, biases), or has no side longer than `rank`, keeps
moments of its own size. Written from the paper; `tests/unit/learn/apollo_twin.py` is the same, line by line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_MOST = 2**63 - 1
_FLOAT32 = ("exp_avg", "exp_avg_sq", "norm")


class Apollo(torch.optim.Optimizer):
    """The paper's APOLLO; with `tensorwise`, rank 1 and scale 128 its APOLLO-Mini."""

    def __init__(
        self, params: Iterable[Any], lr: float, *, rank: int = 128, scale: float | None = None,
        tensorwise: bool = False, redraw: int = 200, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, growth: float = 1.01, seed: int = 0,
    ) -> None:  # fmt: skip
        """Every argument after `params` may be given by group.

        Args:
            rank: rows of the projection. The paper takes 256 to pretrain and 128 to fine-tune.
            scale: None takes m / rank, so that a step is about as long as AdamW's: the paper's 32 at 4096 and 128.
            redraw: steps that a projection lives. The moments are kept.
            growth: bound on the ratio of two consecutive steps' norms, per matrix; the paper's norm-growth limiter.
            seed: of the projections; they are not part of the state.
        """
        defaults = {
            "lr": lr, "rank": rank, "scale": scale, "tensorwise": tensorwise, "redraw": redraw, "betas": betas,
            "eps": eps, "weight_decay": weight_decay, "growth": growth, "seed": seed,
        }  # fmt: skip
        super().__init__(params, defaults)
        self._drawn: dict[Tensor, tuple[int, Tensor]] = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step along the gradients that are there."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        index = 0
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    if group["weight_decay"]:
                        parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    self._move(parameter, parameter.grad.float(), group, index)
                index += 1
        return loss

    def _move(self, parameter: Tensor, grad: Tensor, group: dict[str, Any], index: int) -> None:
        """One step of one parameter. A matrix's gradient is read three times and nothing of its size is written but
        the weights: the norm of the step comes from those of the channels."""
        state = self.state[parameter]
        matrix = grad.ndim == 2
        side = 0 if not matrix or grad.shape[0] <= grad.shape[1] else 1  # the shorter, along which P projects
        low = grad
        if matrix and group["rank"] < grad.shape[side]:
            projection = _beside(
                grad, self._projection(parameter, grad.shape[side], group, index, state.get("step", 0))
            )
            low = _summed(projection @ grad if side == 0 else grad @ projection.T)
        if not state:
            state |= {"step": 0, "exp_avg": torch.zeros_like(low), "exp_avg_sq": torch.zeros_like(low)}
            if matrix:
                state["norm"] = grad.new_zeros(())
        state["step"] += 1
        step, (keep, keep_sq) = state["step"], group["betas"]
        mean = state["exp_avg"].lerp_(low, 1 - keep) / (1 - keep**step)
        square = state["exp_avg_sq"].mul_(keep_sq).addcmul_(low, low, value=1 - keep_sq) / (1 - keep_sq**step)
        adapted = mean / (square.sqrt_() + group["eps"])
        if not matrix:
            parameter.sub_((group["lr"] * adapted).to(parameter.dtype))
            return
        over = (0, 1) if group["tensorwise"] else (side,)
        scale = group["scale"] or max(1.0, grad.shape[side] / group["rank"])
        rates = _norm(adapted, over) / _norm(low, over).clamp_min(1e-12) * math.sqrt(scale)
        norm, last = torch.linalg.vector_norm(rates * _norm(grad, over)), state["norm"]
        within = torch.where(last > 0, (group["growth"] * last / norm.clamp_min(1e-12)).clamp(max=1.0), 1.0)
        state["norm"] = norm * within
        parameter.addcmul_(grad, rates * within, value=-group["lr"])

    def _projection(self, parameter: Tensor, width: int, group: dict[str, Any], index: int, step: int) -> Tensor:
        """P [rank, width] of this step, the same on every machine that has the seed."""
        turn = step // group["redraw"]
        kept = self._drawn.get(parameter)
        if kept is None or kept[0] != turn:
            generator = torch.Generator().manual_seed((group["seed"] * 1_000_003 + index) * 1_000_003 + turn & _MOST)
            drawn = torch.randn(group["rank"], width, generator=generator) / math.sqrt(group["rank"])
            kept = self._drawn[parameter] = (turn, drawn.to(parameter.device))
        return kept[1]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, which would cast the moments to the parameters' type."""
        super().load_state_dict(state_dict)
        self._drawn.clear()
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for index, saved in state_dict["state"].items():
            for key in _FLOAT32:
                if key in saved:
                    self.state[parameters[index]][key] = saved[key].to(parameters[index].device, copy=True)


def _beside(grad: Tensor, projection: Tensor) -> Tensor:
    """The projection whole on every rank, where the gradient is sharded (FSDP2)."""
    mesh = getattr(grad, "device_mesh", None)
    if mesh is None:
        return projection
    from torch.distributed.tensor import DTensor, Replicate

    return DTensor.from_local(projection, mesh, [Replicate()] * mesh.ndim, run_check=False)


def _summed(low: Tensor) -> Tensor:
    """Where P adds up rows of several ranks, their sum on each: AdamW's step is not linear, and it is small."""
    placements: Any = getattr(low, "placements", ())
    if not any(place.is_partial() for place in placements):
        return low
    from torch.distributed.tensor import Replicate

    sharded: Any = low
    return sharded.redistribute(placements=[Replicate() if p.is_partial() else p for p in placements])


def _norm(x: Tensor, over: tuple[int, ...]) -> Tensor:
    return torch.linalg.vector_norm(x, dim=over, keepdim=True)
