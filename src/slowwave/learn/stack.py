"""Adapters of many personas beside each other in one model: each token goes through its own persona's.

One pass over the base serves them all; the low-rank products of P personas are one batched product a layer, as in
S-LoRA and Punica (arXiv 2311.03285, 2310.18547), here with gradients. A persona's tokens are gathered in a row of its
own, padded to the longest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from slowwave.errors import TrainingError


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
    longest = max(map(len, rows.values()))
    tokens_QL = torch.zeros(len(present), longest, dtype=torch.long)
    place_T = torch.zeros(size, dtype=torch.long)
    for row, mine in enumerate(rows.values()):
        tokens_QL[row, : len(mine)] = torch.tensor(mine)
        place_T[mine] = row * longest + torch.arange(len(mine))
    return Seats(torch.tensor(present, device=device), tokens_QL.to(device), place_T.to(device))


class Stack:
    """P adapters of one shape. `tensors` are by PEFT's names [P, ...], leaves; `of(p)` are views, to optimise.

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
        self.tensors = {key: torch.stack([one[key].detach() for one in adapters]) for key in adapters[0]}
        self._own = [{key: nn.Parameter(value[p]) for key, value in self.tensors.items()} for p in range(len(adapters))]
        for value in self.tensors.values():
            value.requires_grad_(True)
        self.seats: Seats | None = None  # None: the base reads

    def of(self, persona: int) -> dict[str, nn.Parameter]:
        """A persona's own tensors; they are the stack's memory."""
        return self._own[persona]

    def hand_out(self, personas: Collection[int]) -> None:
        """Give these personas their parts of the stack's gradients, and forget those there."""
        for key, value in self.tensors.items():
            assert value.grad is not None
            for p in personas:
                part = value.grad[p]  # a view keeps all of it in memory: of few, copies are less
                self._own[p][key].grad = part if 2 * len(personas) > len(self._own) else part.clone()
            value.grad = None

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
        if self.seats is None:
            return out_1TO
        x_QLD = args[0][0][self.seats.tokens_QL]
        mine = self.seats.personas_Q
        # under autocast both products are in bfloat16, as those of a single adapter are
        hidden_QLR = torch.bmm(x_QLD.to(_computed(down_PRD, x_QLD)), down_PRD[mine].mT)
        added_QLO = torch.bmm(hidden_QLR, up_POR[mine].mT)
        return out_1TO + (self.scale * added_QLO.flatten(0, 1)[self.seats.place_T]).to(out_1TO.dtype)


def _computed(weight: Tensor, x: Tensor) -> torch.dtype:
    return x.dtype if torch.is_autocast_enabled(x.device.type) else weight.dtype
