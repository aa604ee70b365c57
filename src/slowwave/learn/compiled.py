"""Norms and MLPs of a model as compiled kernels on a GPU: a few in place of dozens of small ones between the products.

Compiled once for all layers, for any number of tokens. Of an MLP the widest values are not kept for the backward pass
but made again: of 1024 tokens after 10k that takes a third of the memory away, and an eighth more time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch._functorch import config

_DEVICE = "cuda"
_KINDS = ("MLP", "RMSNorm")  # how transformers names their classes, whatever the model
_KEPT = 0.5  # of the memory that a compiled part would keep for its backward pass


@contextmanager
def compiled(model: nn.Module) -> Iterator[None]:
    """Inside the block a model on a GPU computes so; on a CPU nothing changes."""
    parts = [one for one in model.modules() if type(one).__name__.endswith(_KINDS)]
    if next(model.parameters()).device.type != _DEVICE:
        parts = []
    for part in parts:
        part.forward = torch.compile(part.forward, dynamic=True)
    try:
        with config.patch(activation_memory_budget=_KEPT):
            yield
    finally:
        for part in parts:
            del part.forward
