"""A low-rank layer in one pass over its output: `torch.addmm(W x, A x, B, alpha)` in place of a product, a scaling and
an addition, each as wide as the layer. On a CPU these two passes and their gradients take as long as the products.

PEFT's own forward stays for everything else (several adapters, dropout, variants), and is the twin in the tests.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn


def fuse(model: nn.Module) -> None:
    """Let every low-rank linear layer of `model` take the short way where it can."""
    for layer in model.modules():
        if type(layer) is Linear and "forward" not in vars(layer):
            layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign]


def _forward(layer: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    name = _alone(layer)
    if name is None or args or kwargs:
        return Linear.forward(layer, x, *args, **kwargs)
    result = layer.base_layer(x)
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    if result.dtype != down.dtype and not torch.is_autocast_enabled(x.device.type):
        return Linear.forward(layer, x)  # a bfloat16 base beside float32 factors: they are added in float32
    hidden = nn.functional.linear(x, down).flatten(0, -2)
    return torch.addmm(result.flatten(0, -2), hidden, up.T, alpha=layer.scaling[name]).view_as(result)


def _alone(layer: Any) -> str | None:
    """The one adapter that acts in this layer, if it is of the plain kind and nothing else has to be done."""
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    if layer.disable_adapters or layer.merged or len(active) != 1:
        return None
    name = active[0]
    dropout = layer.training and not isinstance(layer.lora_dropout[name], nn.Identity)
    return None if dropout or name in layer.lora_variant or layer.lora_B[name].bias is not None else str(name)
