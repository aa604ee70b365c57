"""Adapters of many personas beside each other in one model: each token goes through its own persona's.

One pass over the base serves them all; the low-rank products of P personas are one batched product a layer, as in
S-LoRA and Punica (arXiv 2311.03285, 2310.18547), here with gradients. A persona's tokens are gathered in a row of its
own, padded to the longest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from slowwave.errors import TrainingError
from slowwave.learn.context import sent


@dataclass(frozen=True)
class Seats:
    """Where the T tokens of a batch sit among Q personas' rows of L places."""

    personas_Q: Tensor
    tokens_QL: Tensor  # empty places hold token 0, and what is made of it there goes nowhere
    place_T: Tensor  # of each token among the Q * L places


def seats(personas: Sequence[int], size: int, device: torch.device) -> Seats:
    """The seats of `size` tokens, of which the first belong to these `personas`; padding after them sits anywhere."""
    present = sorted(set(personas))
    rows = {one: [place for place, owner in enumerate(personas) if owner == one] for one in present}
    up = (lambda count, step: -(-count // step) * step) if device.type == "cuda" else (lambda count, _: count)
    tokens_QL = torch.zeros(up(len(present), 8), up(max(map(len, rows.values())), 32), dtype=torch.long)  # few shapes
    place_T = torch.zeros(size, dtype=torch.long)
    for row, mine in enumerate(rows.values()):
        tokens_QL[row, : len(mine)] = torch.tensor(mine)
        place_T[mine] = row * tokens_QL.shape[1] + torch.arange(len(mine))
    personas_Q = torch.tensor(present + present[:1] * (len(tokens_QL) - len(present)))
    return Seats(sent(personas_Q, device), sent(tokens_QL, device), sent(place_T, device))


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
            [torch.cat([value.detach().flatten() for value in one.values()]) for one in adapters]
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
        handles = []
        for path, layer in model.named_modules():
            names = [key for key in self.tensors if key.startswith(f"{path}.lora_A.")]
            if names:
                down = self.tensors[names[0]]
                up = self.tensors[names[0].replace(".lora_A.", ".lora_B.")]
                handles.append(layer.register_forward_hook(partial(self._add, down, up)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _add(self, down_PRD: Tensor, up_POR: Tensor, _: Any, args: tuple[Tensor, ...], out_1TO: Tensor) -> Tensor:
        seats = _SEATED.get()
        if seats is None:
            return out_1TO
        x_QLD = args[0][0].index_select(0, seats.tokens_QL.flatten()).unflatten(0, seats.tokens_QL.shape)
        # under autocast both products are in bfloat16, as those of a single adapter are
        down_QRD, up_QOR = down_PRD.index_select(0, seats.personas_Q), up_POR.index_select(0, seats.personas_Q)
        hidden_QLR = torch.bmm(x_QLD.to(_computed(down_PRD, x_QLD)), down_QRD.mT)
        added_TO = torch.bmm(hidden_QLR, up_QOR.mT).flatten(0, 1).index_select(0, seats.place_T)
        return out_1TO + (self.scale * added_TO).to(out_1TO.dtype)


def _computed(weight: Tensor, x: Tensor) -> torch.dtype:
    return x.dtype if torch.is_autocast_enabled(x.device.type) else weight.dtype
