"""Norms, MLPs and rotary places of a model as compiled kernels on a GPU: a few in place of dozens of small ones between
the products.

Compiled once for all layers, for any number of tokens. Of an MLP the widest values are not kept for the backward pass
but made again: of 1024 tokens after 10k that takes a third of the memory away, and an eighth more time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch._functorch import config

_DEVICE = "cuda"
_NORM, _MLP = "RMSNorm", "MLP"  # how transformers ends the names of their classes, whatever the model
_ROTATE = "apply_rotary_pos_emb"  # their function that turns queries and keys to their places
_KEPT = 0.5  # of the memory that a compiled part would keep for its backward pass


@contextmanager
def compiled(model: nn.Module, *, products: bool = True) -> Iterator[None]:
    """Inside the block a model on a GPU computes these parts so; on a CPU nothing changes.

    Args:
        products: those of an MLP with the rest of it. Without them only what lies between: its layers may be anything.
    """
    on_gpu = next(model.parameters()).device.type == _DEVICE
    parts = [one for one in model.modules() if type(one).__name__.endswith((_NORM, _MLP))] if on_gpu else []
    gate: Any = torch.compile(_gated, dynamic=True) if on_gpu else None
    for part in parts:
        if products or type(part).__name__.endswith(_NORM):
            part.forward = _frugal(torch.compile(part.forward, dynamic=True))
        else:
            part.forward = partial(_mlp, part, gate)
    rotate = {one: vars(one)[_ROTATE] for one in _modules(model) if _ROTATE in vars(one)} if on_gpu else {}
    for module, function in rotate.items():
        vars(module)[_ROTATE] = torch.compile(function, dynamic=True)
    try:
        yield
    finally:
        for module, function in rotate.items():
            vars(module)[_ROTATE] = function
        for part in parts:
            del part.forward


def _modules(model: nn.Module) -> set[ModuleType]:
    """In which the classes of the model's parts are written."""
    return {sys.modules[type(one).__module__] for one in model.modules()}


def _mlp(part: Any, gate: Callable[..., Tensor], x: Tensor) -> Tensor:
    out: Tensor = part.down_proj(gate(part.act_fn, part.gate_proj(x), part.up_proj(x)))
    return out


def _gated(act: Callable[[Tensor], Tensor], gate: Tensor, up: Tensor) -> Tensor:
    return act(gate) * up


def _frugal(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled under the budget, which is no part's around it: attention's forward pass would be made twice."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with config.patch(activation_memory_budget=_KEPT):
            return forward(*args, **kwargs)

    return run
