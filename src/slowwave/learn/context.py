"""A context's keys and values, encoded once without gradient and kept.

What answers after it sees them and never changes them: that is activated LoRA (aLoRA, Greenewald et al., 2025,
arXiv 2504.12397), whose adapter acts from the reply's header on. The keys and values of everything before are the
base's, before and after any night, and a gradient that stops at them is the exact one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from slowwave.errors import TrainingError
from slowwave.learn import cache as kv

SHORT = 512  # tokens of a context that is encoded beside others, padded; a longer one goes alone
_CHUNK = 4096  # tokens of a long context in one forward: bounds the memory of its hidden states


@dataclass(frozen=True, eq=False)
class Context:
    """C tokens as a model encoded them: by layer, keys (rotated to places 0 to C - 1) and values [1, G, C, D]."""

    tokens: tuple[int, ...]
    layers: tuple[tuple[Tensor, Tensor], ...]


@torch.no_grad()
def encode(model: Any, tokens: Sequence[int]) -> Context:
    """Encode one context with the model as it stands: without an adapter, by the base.

    Raises:
        TrainingError: the model kept another number of tokens than it read (a sliding window, a dropped cache), so that
            what follows would be trained without a part of its context.
    """
    cache, device = kv.empty(model), next(model.parameters()).device
    passed = kv.passed(model.model, cache)
    for part in torch.tensor([list(tokens)], dtype=torch.long, device=device).split(_CHUNK, dim=1):
        if part.shape[1]:
            model.model(input_ids=part, **passed)
    layers = [(layer.keys, layer.values) for layer in cache.layers] if tokens else _nothing(model)
    return Context(tuple(tokens), _whole(layers, len(tokens)))


@torch.no_grad()
def encode_all(model: Any, contexts: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], Context]:
    """Encode each distinct context with the model as it stands, the short ones together. Raises as `encode`."""
    distinct = list(dict.fromkeys(contexts))
    short = [tokens for tokens in distinct if 0 < len(tokens) <= SHORT]
    out = {tokens: encode(model, tokens) for tokens in distinct if not 0 < len(tokens) <= SHORT}
    if short:
        shared, device, cache = kv.shared(short), next(model.parameters()).device, kv.empty(model)
        if shared:  # such as a system prompt: read once
            model.model(input_ids=torch.tensor([short[0][:shared]], device=device), **kv.passed(model.model, cache))
            cache.batch_repeat_interleave(len(short))
        rows = [torch.tensor(tokens[shared:]) for tokens in short]
        ids_BC = pad_sequence(rows, batch_first=True).to(device)
        model.model(input_ids=ids_BC, **kv.passed(model.model, cache))  # no token sees the padding after it
        for row, tokens in enumerate(short):
            own = slice(0, len(tokens))
            layers = [(layer.keys[row, None, :, own], layer.values[row, None, :, own]) for layer in cache.layers]
            out[tokens] = Context(tokens, _whole(layers, len(tokens)))
    return out


def joined(contexts: Sequence[Context]) -> list[tuple[Tensor, Tensor]]:
    """By layer, the keys and values of contexts one after the other; of a single one its own, not a copy."""
    if len(contexts) == 1:
        return list(contexts[0].layers)
    return [
        (torch.cat([keys for keys, _ in pairs], dim=2), torch.cat([values for _, values in pairs], dim=2))
        for pairs in zip(*(context.layers for context in contexts), strict=True)
    ]


def _whole(layers: Sequence[tuple[Tensor, Tensor]], count: int) -> tuple[tuple[Tensor, Tensor], ...]:
    if any(tensor.shape[2] != count for pair in layers for tensor in pair):
        raise TrainingError(
            f"A context of {count} tokens was not kept whole.", "Models with a sliding window are not supported."
        )
    return tuple(layers)


def _nothing(model: Any) -> list[tuple[Tensor, Tensor]]:
    """The layers of a context without tokens: a decision may begin with its header."""
    config, weight = model.config, next(model.parameters())
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    empty = weight.new_zeros(1, config.num_key_value_heads, 0, size)
    return [(empty, empty)] * config.num_hidden_layers
