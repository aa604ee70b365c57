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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

_MOST = 2**63 - 1
_SMALL = {"cpu": 2**14, "cuda": 2**22}  # elements of a gradient that is copied beside its like, to launch less
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
        self._drawn: dict[tuple[int, ...], tuple[int, list[Tensor]]] = {}  # by parameters, their projections
        self._together: dict[tuple[int, ...], tuple[Tensor, ...]] = {}  # by parameters: what their states are views of
        self._alike: dict[tuple[int, ...], list[dict[Tensor, int]]] = {}  # by what has gradients: what moves together

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step along the gradients that are there."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        index = 0
        alike: dict[tuple[int, ...], list[dict[Tensor, int]]] = {}
        for group in self.param_groups:
            moving = {p: index + place for place, p in enumerate(group["params"]) if p.grad is not None}
            index += len(group["params"])
            key = tuple(map(id, moving))
            alike[key] = self._alike.get(key) or self._sorted(moving)  # what moved together before still may
            for indices in alike[key]:
                if group["weight_decay"]:
                    torch._foreach_mul_(list(indices), 1 - group["lr"] * group["weight_decay"])
                self._move(indices, group)
        self._alike = alike
        return loss

    def _sorted(self, moving: dict[Tensor, int]) -> list[dict[Tensor, int]]:
        alike: dict[Any, dict[Tensor, int]] = {}
        for parameter, index in moving.items():
            alike.setdefault(self._kind(parameter), {})[parameter] = index
        return list(alike.values())

    def _kind(self, parameter: Tensor) -> Any:
        """What parameters have in common that move together; one that is sharded moves alone."""
        alone = id(parameter) if hasattr(parameter, "device_mesh") else 0
        return parameter.shape, parameter.dtype, parameter.device, self.state[parameter].get("step", 0), alone

    def _move(self, indices: dict[Tensor, int], group: dict[str, Any]) -> None:
        """One step of B parameters of one shape. A large matrix's gradient is read three times and nothing of its
        size is written but the weights: the norm of the step comes from those of the channels. What is small is done
        for all B at once: on a GPU it is launching that takes the time."""
        parameters = list(indices)
        grads = [parameter.grad.float() for parameter in parameters if parameter.grad is not None]
        shape = grads[0].shape
        matrix = len(shape) == 2
        side = 0 if not matrix or shape[0] <= shape[1] else 1  # the shorter, along which P projects
        if not matrix or (len(grads) > 1 and grads[0].numel() <= _SMALL.get(grads[0].device.type, 0)):
            grads = [_stacked(grads)]
        else:
            grads = [grad[None] for grad in grads]
        low = grads
        if matrix and group["rank"] < shape[side]:
            drawn = self._projections(indices, shape[side], group, len(grads))
            with _fast_products():
                low = [
                    _summed(torch.bmm(P, G) if side == 0 else torch.bmm(G, P.mT))
                    for P, G in zip(drawn, grads, strict=True)
                ]
        low_B = _joined(low)
        mean_B, square_B, *last = self._moments(parameters, low_B)
        adapted_B = _adapted(low_B, mean_B, square_B, self.state[parameters[0]]["step"], group)
        if not matrix:
            torch._foreach_sub_(parameters, (group["lr"] * adapted_B).to(parameters[0].dtype).unbind())
            return
        over = (1, 2) if group["tensorwise"] else (1 + side,)
        scale = group["scale"] or max(1.0, shape[side] / group["rank"])
        rates_B = _norm(adapted_B, over) / _norm(low_B, over).clamp_min(1e-12) * math.sqrt(scale)
        steps_B = rates_B * _joined([_norm(grad, over) for grad in grads])
        norm_B = torch.linalg.vector_norm(steps_B, dim=(1, 2))
        last_B = last[0]
        most_B = (group["growth"] * last_B / norm_B.clamp_min(1e-12)).clamp(max=1.0)
        within_B = torch.where(last_B > 0, most_B, 1.0)
        last_B.copy_(norm_B * within_B)
        rates_B = rates_B * within_B[:, None, None]
        if len(grads) == 1:
            steps = (grads[0] * rates_B).to(parameters[0].dtype).unbind()
            torch._foreach_add_(parameters, steps, alpha=-group["lr"])
        else:
            torch._foreach_addcmul_(parameters, [grad[0] for grad in grads], rates_B.unbind(), value=-group["lr"])

    def _moments(self, parameters: list[Tensor], low_B: Tensor) -> tuple[Tensor, ...]:
        """Both moments of these, and of matrices the last norms; their states are views of them."""
        key = tuple(map(id, parameters))
        states = [self.state[parameter] for parameter in parameters]
        if key not in self._together:
            names = _FLOAT32 if low_B.ndim == 3 else _FLOAT32[:2]
            if states[0]:
                whole = tuple(_stacked([state[name] for state in states]) for name in names)
            else:
                norm_B = low_B.new_zeros(len(low_B))
                whole = (torch.zeros_like(low_B), torch.zeros_like(low_B), norm_B)[: len(names)]
            for place, state in enumerate(states):
                state |= {"step": state.get("step", 0)}
                state |= {name: value[place] for name, value in zip(names, whole, strict=True)}
            self._together = {**_apart(self._together, key), key: whole}
        for state in states:
            state["step"] += 1
        return self._together[key]

    def _projections(
        self, indices: dict[Tensor, int], width: int, group: dict[str, Any], parts: int
    ) -> list[Tensor]:  # fmt: skip
        """P [B, rank, width] of this turn in so many parts, the same on every machine that has the seed."""
        key = tuple(map(id, indices))
        first = next(iter(indices))
        turn = self.state[first].get("step", 0) // group["redraw"]
        kept = self._drawn.get(key)
        if kept is None or kept[0] != turn:
            drawn = [self._projection(width, group, index, turn).to(first.device) for index in indices.values()]
            whole = [_stacked(drawn)] if parts == 1 else [one[None] for one in drawn]
            kept = (turn, [_beside(first, one) for one in whole])
            self._drawn = {**_apart(self._drawn, key), key: kept}
        return kept[1]

    def _projection(self, width: int, group: dict[str, Any], index: int, turn: int) -> Tensor:
        generator = torch.Generator().manual_seed((group["seed"] * 1_000_003 + index) * 1_000_003 + turn & _MOST)
        return torch.randn(group["rank"], width, generator=generator) / math.sqrt(group["rank"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, which would cast the moments to the parameters' type."""
        super().load_state_dict(state_dict)
        for kept in (self._drawn, self._together, self._alike):
            kept.clear()
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for index, saved in state_dict["state"].items():
            for key in _FLOAT32:
                if key in saved:
                    self.state[parameters[index]][key] = saved[key].to(parameters[index].device, copy=True)


def _apart(kept: dict[tuple[int, ...], Any], key: tuple[int, ...]) -> dict[tuple[int, ...], Any]:
    """What is kept of other parameters than these."""
    return {old: value for old, value in kept.items() if not set(old) & set(key)}


def _adapted(low_B: Tensor, mean_B: Tensor, square_B: Tensor, step: int, group: dict[str, Any]) -> Tensor:
    """AdamW's step on `low_B`, from moments that take it in: torch's fused one, of weights that are zero, uphill."""
    adapted_B = torch.zeros_like(low_B)
    before = torch.full((), float(step - 1), device=low_B.device)  # filled there: a copy would wait for the card
    adamw(
        [adapted_B], [low_B], [mean_B], [square_B], [], [before], fused=True, amsgrad=False, beta1=group["betas"][0],
        beta2=group["betas"][1], lr=-1.0, weight_decay=0.0, eps=group["eps"], maximize=False,
    )  # fmt: skip
    return adapted_B


@contextmanager
def _fast_products() -> Iterator[None]:
    """TF32 on a GPU: its error is far below that of a random projection, which these products are."""
    kind = torch.backends.cuda.matmul
    before = kind.fp32_precision
    kind.fp32_precision = "tf32"
    try:
        yield
    finally:
        kind.fp32_precision = before


def _beside(parameter: Tensor, projection: Tensor) -> Tensor:
    """The projection whole on every rank, where the parameter is sharded (FSDP2)."""
    mesh = getattr(parameter, "device_mesh", None)
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


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    return parts[0][None] if len(parts) == 1 else torch.stack(list(parts))


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _norm(x: Tensor, over: tuple[int, ...]) -> Tensor:
    return torch.linalg.vector_norm(x, dim=over, keepdim=True)
