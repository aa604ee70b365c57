"""Norms and MLPs of a model as compiled kernels on a GPU: a few in place of dozens of small ones between the products.

Compiled once for all layers, for any number of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

_KINDS = ("MLP", "RMSNorm")  # how transformers names their classes, whatever the model


@contextmanager
def compiled(model: nn.Module) -> Iterator[None]:
    """Inside the block a model on a GPU computes so; on a CPU nothing changes."""
    device = next(model.parameters()).device
    parts = [one for one in model.modules() if type(one).__name__.endswith(_KINDS)] if device.type == "cuda" else []
    for part in parts:
        part.forward = torch.compile(part.forward, dynamic=True)
    try:
        yield
    finally:
        for part in parts:
            del part.forward
