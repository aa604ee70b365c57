"""A context's keys and values, encoded once without gradient and kept.

What answers after it sees them and never changes them: that is activated LoRA (aLoRA, Greenewald et al., 2025,
arXiv 2504.12397), whose adapter acts from the reply's header on. The keys and values of everything before are the
base's, before and after any night, and a gradient that stops at them is the exact one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pad_sequence

from slowwave.errors import TrainingError
from slowwave.learn import cache as kv

SHORT = 512  # tokens of a context that is encoded beside others, padded; a longer one goes alone
# tokens of a long context in one forward: bounds the memory of its hidden states. A GPU's attention is fastest in one
_CHUNK = {"cpu": 4096, "cuda": 32_768}
# which kernels attend on a GPU, the fastest first (10k tokens of 12 heads of 128, H100: cuDNN's saves a tenth of all)
_KERNELS = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


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
    size = _CHUNK.get(device.type, _CHUNK["cpu"])
    with sdpa_kernel(_KERNELS, set_priority=True):
        for part in sent(torch.tensor([list(tokens)], dtype=torch.long), device).split(size, dim=1):
            if part.shape[1]:
                model.model(input_ids=part, **passed)
    layers = [(layer.keys, layer.values) for layer in cache.layers] if tokens else _nothing(model)
    return Context(tuple(tokens), _whole(layers, len(tokens)))


@torch.no_grad()
def encode_all(model: Any, contexts: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], Context]:
    """Encode each distinct context with the model as it stands: the short ones together, and on a GPU long ones of like
    length. Raises as `encode`."""
    distinct = dict.fromkeys(contexts)
    short = [tokens for tokens in distinct if 0 < len(tokens) <= SHORT]
    out = _encode_batch(model, short, kv.shared(short)) if short else {}
    together = 1 if next(model.parameters()).device.type == "cpu" else _CHUNK["cuda"]
    for group in _alike([tokens for tokens in distinct if tokens not in out], together):
        out |= _encode_batch(model, group, 0) if len(group) > 1 else {group[0]: encode(model, group[0])}
    return out


def _alike(contexts: Sequence[tuple[int, ...]], tokens: int) -> list[list[tuple[int, ...]]]:
    """Groups of so many tokens at most, padding included, of which it is an eighth at most; or of one."""
    groups: list[list[tuple[int, ...]]] = []
    for one in sorted(contexts, key=len, reverse=True):
        longest = len(groups[-1][0]) if groups else 0
        if longest and longest * (len(groups[-1]) + 1) <= tokens and 9 * len(one) >= 8 * longest:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _encode_batch(model: Any, contexts: Sequence[tuple[int, ...]], shared: int) -> dict[tuple[int, ...], Context]:
    """Encode contexts side by side, padded; the tokens that they share at their beginning are read once."""
    device, cache = next(model.parameters()).device, kv.empty(model)
    if shared:  # such as a system prompt
        first = sent(torch.tensor([contexts[0][:shared]]), device)
        model.model(input_ids=first, **kv.passed(model.model, cache))
        cache.batch_repeat_interleave(len(contexts))
    rows = [torch.tensor(tokens[shared:]) for tokens in contexts]
    ids_BC = sent(pad_sequence(rows, batch_first=True), device)
    with sdpa_kernel(_KERNELS, set_priority=True):
        model.model(input_ids=ids_BC, **kv.passed(model.model, cache))  # no token sees the padding after it
    out = {}
    for row, tokens in enumerate(contexts):
        own = slice(0, len(tokens))
        layers = [(layer.keys[row, None, :, own], layer.values[row, None, :, own]) for layer in cache.layers]
        out[tokens] = Context(tokens, _whole(layers, len(tokens)))
    return out


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on `device`, without waiting for what the device is doing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def joined(contexts: Sequence[Context], room: int | None = None) -> list[tuple[Tensor, Tensor]]:
    """By layer, the keys and values of contexts one after the other; of a single one its own, not a copy.

    Args:
        room: places, those after the contexts zero: a copy of a single one, too, if it does not fill them.
    """
    held = sum(len(context.tokens) for context in contexts)
    if len(contexts) == 1 and room in (None, held):
        return list(contexts[0].layers)
    end = [0, *accumulate(len(context.tokens) for context in contexts)]
    with torch.no_grad():
        out = [(_wide(keys, room or held), _wide(values, room or held)) for keys, values in contexts[0].layers]
        whole = [tensor for pair in out for tensor in pair]
        for row, context in enumerate(contexts):
            places = [tensor[:, :, end[row] : end[row + 1]] for tensor in whole]
            torch._foreach_copy_(places, [tensor for pair in context.layers for tensor in pair])
    return out


def _wide(tensor: Tensor, room: int) -> Tensor:
    return tensor.new_zeros(*tensor.shape[:2], room, tensor.shape[3])


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
