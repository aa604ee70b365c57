"""Where an activated adapter acts: from the last header of a reply on, and on nothing before (aLoRA, arXiv 2504.12397).

PEFT's layers take the places as an argument; here the model finds them in the tokens that it reads, so that answering,
scoring and examining need not know. What follows a cached prompt token by token acts as the prompt's end did.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from peft.tuners.lora.variants import calculate_alora_offsets
from torch import Tensor


@dataclass
class Invocation:
    """For the tokens [B, T] that the model reads now."""

    offsets: list[int | None] = field(default_factory=list)  # how many last tokens of each row it acts on; None: none
    acts_BT1: Tensor | None = None  # the same as a mask
    layers: dict[str, Any] = field(default_factory=dict)  # a layer of each activated adapter


def watch(model: Any, name: str, layers: list[Any]) -> None:
    """Let the layers of activated adapter `name` know where it acts, whenever `model` reads tokens."""
    reader, mine = model.model, [layer for layer in layers if name in getattr(layer, "lora_variant", ())]
    if not hasattr(reader, "invocation"):
        reader.invocation = Invocation()
        reader.register_forward_pre_hook(
            lambda _, args, kwargs: _look(model.peft_config, reader.invocation, args, kwargs), with_kwargs=True
        )
    reader.invocation.layers[name] = mine[0]
    for layer in mine:
        layer.invocation = reader.invocation


def _look(configs: Any, here: Invocation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Find the places in the tokens that are about to be read."""
    active = [name for name, layer in here.layers.items() if _speaks(name, layer)]
    ids_BT = kwargs.get("input_ids", args[0] if args else None)
    if not active or ids_BT is None:
        return
    B, T = ids_BT.shape
    if T == 1 and len(here.offsets) == B and _has_read(kwargs):  # the next token of each row
        here.offsets = [offset and 1 for offset in here.offsets]
    else:
        here.offsets = list(calculate_alora_offsets(configs, active[0], ids_BT))
    first_B1 = torch.tensor([[T - (offset or 0)] for offset in here.offsets], device=ids_BT.device)
    here.acts_BT1 = (torch.arange(T, device=ids_BT.device) >= first_B1)[..., None]


def _speaks(name: str, layer: Any) -> bool:
    return not layer.disable_adapters and name in layer.active_adapters and name in layer.lora_variant


def _has_read(kwargs: dict[str, Any]) -> bool:
    """Whether there are tokens in the cache that comes with these."""
    cache = kwargs.get("past_key_values", kwargs.get("cache"))
    return cache is not None and cache.get_seq_length() > 0
