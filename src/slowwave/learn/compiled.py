"""Norms and MLPs of a model as compiled kernels on a GPU: a few in place of dozens of small ones between the products.

Compiled once for all layers, for any number of tokens. Of an MLP the widest values are not kept for the backward pass
but made again: of 1024 tokens after 10k that takes a third of the memory away, and an eighth more time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch._functorch import config

_DEVICE = "cuda"
NORM, MLP = "RMSNorm", "MLP"  # how transformers ends the names of their classes, whatever the model
_KEPT = 0.5  # of the memory that a compiled part would keep for its backward pass


@contextmanager
def compiled(model: nn.Module, kinds: tuple[str, ...] = (NORM, MLP)) -> Iterator[None]:
    """Inside the block a model on a GPU computes its parts of these kinds so; on a CPU nothing changes."""
    parts = [one for one in model.modules() if type(one).__name__.endswith(kinds)]
    if next(model.parameters()).device.type != _DEVICE:
        parts = []
    for part in parts:
        part.forward = _frugal(torch.compile(part.forward, dynamic=True))
    try:
        yield
    finally:
        for part in parts:
            del part.forward


def _frugal(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled under the budget, which is no part's around it: attention's forward pass would be made twice."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with config.patch(activation_memory_budget=_KEPT):
            return forward(*args, **kwargs)

    return run
