"""A low-rank layer in one pass over its output: `torch.addmm(W x, A x, B, alpha)` in place of a product, a scaling and
an addition, each as wide as the layer. On a CPU these two passes and their gradients take as long as the products.

PEFT's own forward stays for everything else (several adapters, dropout, other variants), and is the twin in the tests.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from peft.tuners.lora import Linear
from peft.tuners.lora.variants import ALoraLinearVariant
from torch import Tensor, nn


def fuse(model: nn.Module) -> None:
    """Let every low-rank linear layer of `model` take the short way where it can."""
    for layer in model.modules():
        if type(layer) is Linear and "forward" not in vars(layer):
            layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign]


def _forward(layer: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    name = _alone(layer)
    places = _places(layer)
    if name is None or args or kwargs:
        return Linear.forward(layer, x, *args, **places, **kwargs)
    result = layer.base_layer(x)
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    if result.dtype != down.dtype and not torch.is_autocast_enabled(x.device.type):
        return Linear.forward(layer, x, **places)  # a bfloat16 base beside float32 factors: they are added in float32
    hidden = nn.functional.linear(x, down)
    if places:
        hidden = hidden * layer.invocation.acts_BT1  # nothing is added where it does not act
    hidden = hidden.flatten(0, -2)
    return torch.addmm(result.flatten(0, -2), hidden, up.T, alpha=layer.scaling[name]).view_as(result)


def _places(layer: Any) -> dict[str, Any]:
    """PEFT's argument that says where an activated adapter acts, if one is active in this layer."""
    activated = any(name in layer.lora_variant for name in layer.active_adapters)
    return {"alora_offsets": layer.invocation.offsets} if activated and hasattr(layer, "invocation") else {}


def _alone(layer: Any) -> str | None:
    """The one adapter that acts in this layer, if it is plain or activated and nothing else has to be done."""
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    if layer.disable_adapters or layer.merged or len(active) != 1:
        return None
    name = active[0]
    dropout = layer.training and not isinstance(layer.lora_dropout[name], nn.Identity)
    variant = layer.lora_variant.get(name)
    known = variant is None or (isinstance(variant, ALoraLinearVariant) and hasattr(layer, "invocation"))
    return str(name) if known and not dropout and layer.lora_B[name].bias is None else None
