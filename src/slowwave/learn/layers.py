"""A part of a model's layers in its own forward: those below a layer, or those from it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Read:
    """What the layers below `first` made of a batch's T tokens."""

    first: int
    states_1TD: Tensor


@contextmanager
def below(model: Any, first: int) -> Iterator[None]:
    """Inside the block the model's last hidden state is what goes into layer `first`, before any last norm."""
    with _replaced(model.model, nn.ModuleList(model.model.layers[:first]), nn.Identity()):
        yield


@contextmanager
def above(model: Any, read: Read) -> Iterator[None]:
    """Inside the block the model takes the layers below as read, and goes on from there."""
    layers = list(model.model.layers)
    known = [_Known(layer, read.states_1TD) for layer in layers[: read.first]]  # as many: some models count them
    with _replaced(model.model, nn.ModuleList([*known, *layers[read.first :]]), model.model.norm):
        yield


class _Known(nn.Module):
    """Stands for a layer whose output is known."""

    def __init__(self, layer: Any, states_1TD: Tensor) -> None:
        super().__init__()
        self.states_1TD = states_1TD
        self.attention_type = getattr(layer, "attention_type", None)  # some models choose a mask by it

    def forward(self, *_: Any, **__: Any) -> Tensor:
        return self.states_1TD


@contextmanager
def _replaced(reader: Any, layers: nn.ModuleList, norm: nn.Module) -> Iterator[None]:
    before = reader.layers, reader.norm
    reader.layers, reader.norm = layers, norm
    try:
        yield
    finally:
        reader.layers, reader.norm = before
