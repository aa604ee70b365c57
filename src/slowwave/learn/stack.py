"""Adapters of many personas beside each other in one model: each token goes through its own persona's.

One pass over the base serves them all; the low-rank products of P personas are one batched product a layer, as in
S-LoRA and Punica (arXiv 2311.03285, 2310.18547), here with gradients. A persona's tokens lie together, in a row of its
own, filled up to the longest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from math import gcd, lcm, prod
from typing import Any

import torch
from torch import Tensor, nn

from slowwave.errors import TrainingError
from slowwave.learn.blocks import BLOCK


@dataclass(frozen=True)
class Seats:
    """The T tokens of a batch lie in Q rows of T / Q; whose each row is."""

    personas_Q: Tensor


def seating(sizes: Sequence[int], device: torch.device) -> tuple[int, int]:
    """(rows, tokens of each) in which so many tokens of each persona have room, a row each.

    On a GPU the tokens of all rows are whole blocks, and there are few shapes (`blocks.py`).
    """
    if device.type == "cpu":
        return len(sizes), max(sizes)
    step = max(32, 1 << max(0, max(sizes).bit_length() - 5))
    shapes = []
    for rows in range(len(sizes), len(sizes) + 4):
        whole = lcm(step, BLOCK // gcd(rows, BLOCK))
        shapes.append((rows, -(-max(sizes) // whole) * whole))
    return min(shapes, key=prod)


_SEATED: ContextVar[Seats | None] = ContextVar("seats", default=None)


@contextmanager
def seated(found: Seats | None) -> Iterator[None]:
    """Inside the block the tokens that are read sit there; without seats the base reads them."""
    token = _SEATED.set(found)
    try:
        yield
    finally:
        _SEATED.reset(token)


class Stack:
    """P adapters of one shape, each a row of one tensor [P, E], as are their gradients. `tensors` are views of it by
    PEFT's names [P, ...], the leaves of a backward pass.

    Args:
        adapters: the tensors of each persona's adapter by their name in the model, all of the same shapes.
        scales: alpha / rank of each.

    Raises:
        TrainingError: they differ.
    """

    def __init__(self, adapters: Sequence[Mapping[str, Tensor]], scales: Collection[float]) -> None:
        shapes = [{key: value.shape for key, value in one.items()} for one in adapters]
        if any(one != shapes[0] for one in shapes) or len(set(scales)) != 1:
            raise TrainingError(
                "Personas whose adapters differ in shape cannot train together.", "Train those apart from the others."
            )
        self.scale = next(iter(scales))
        self.values_PE = torch.stack(
            [torch.cat([one[key].detach().flatten() for key in shapes[0]]) for one in adapters]  # in one order
        )
        self.grads_PE = torch.zeros_like(self.values_PE)
        self._shapes = shapes[0]
        self.tensors = self.named(self.values_PE)
        for value, grad in zip(self.tensors.values(), self.named(self.grads_PE).values(), strict=True):
            value.requires_grad_(True)
            value.grad = grad

    def named(self, rows_XE: Tensor) -> dict[str, Tensor]:
        """Rows of adapters' numbers as tensors by their names [..., ...], in the same memory."""
        parts = rows_XE.split([shape.numel() for shape in self._shapes.values()], dim=-1)
        return {key: part.unflatten(-1, shape) for part, (key, shape) in zip(parts, self._shapes.items(), strict=True)}

    @contextmanager
    def acting(self, model: nn.Module) -> Iterator[None]:
        """Inside the block every layer of `model` that has adapters here adds its tokens' own."""
        before: list[tuple[Any, Any]] = []
        try:
            for path, layer in model.named_modules():
                names = [key for key in self.tensors if key.startswith(f"{path}.lora_A.")]
                if names:
                    linear = getattr(layer, "base_layer", layer)  # an adapter that was taken out leaves its layer
                    if not isinstance(linear, nn.Linear):
                        raise TrainingError(f"{path} is no linear layer.", "Teach these personas apart.")
                    down = self.tensors[names[0]]
                    up = self.tensors[names[0].replace(".lora_A.", ".lora_B.")]
                    before.append((layer, vars(layer).get("forward")))
                    vars(layer)["forward"] = partial(self._forward, layer.forward, linear, down, up)
            yield
        finally:
            for layer, forward in before:
                del layer.forward
                if forward is not None:
                    layer.forward = forward

    def _forward(
        self, base: Callable[[Tensor], Tensor], layer: Any, down_PRD: Tensor, up_POR: Tensor, x: Tensor
    ) -> Tensor:
        seats = _SEATED.get()
        if seats is None:
            return base(x)
        x_QLD = x[0].unflatten(0, (len(seats.personas_Q), -1))
        on = x.device.type
        dtype = torch.get_autocast_dtype(on) if torch.is_autocast_enabled(on) else x.dtype
        of = lambda tensor: None if tensor is None else tensor.to(dtype)  # noqa: E731
        own = (tensor.index_select(0, seats.personas_Q).to(dtype) for tensor in (down_PRD, up_POR))
        out_QLO: Tensor = _Added.apply(of(x_QLD), of(layer.weight), of(layer.bias), *own, self.scale)
        return out_QLO.flatten(0, 1)[None]


class _Added(torch.autograd.Function):
    """x W' + b + scale x A' B' of rows that have each their A and B, written once, as is the gradient of x; W and b are
    nobody's to train."""

    @staticmethod
    def forward(
        ctx: Any, x_QLD: Tensor, weight_OD: Tensor, bias_O: Tensor | None, down_QRD: Tensor, up_QOR: Tensor,
        scale: float,
    ) -> Tensor:  # fmt: skip
        """[Q, L, D] -> [Q, L, O]."""
        with torch.autocast(x_QLD.device.type, enabled=False):
            hidden_QLR = torch.bmm(x_QLD, down_QRD.mT)
            ctx.save_for_backward(x_QLD, weight_OD, down_QRD, up_QOR, hidden_QLR)
            ctx.scale = scale
            return nn.functional.linear(x_QLD, weight_OD, bias_O).baddbmm_(hidden_QLR, up_QOR.mT, alpha=scale)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """[Q, L, O] -> that of x, A and B."""
        x_QLD, weight_OD, down_QRD, up_QOR, hidden_QLR = ctx.saved_tensors
        grad_QLO = grads[0].contiguous()
        back_QLR = torch.bmm(grad_QLO, up_QOR) * ctx.scale
        grad_QLD = (grad_QLO @ weight_OD).baddbmm_(back_QLR, down_QRD)
        return grad_QLD, None, None, back_QLR.mT @ x_QLD, (grad_QLO.mT @ hidden_QLR) * ctx.scale, None
