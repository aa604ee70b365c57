"""A context's keys and values, encoded once without gradient and kept.

What answers after it sees them and never changes them: that is activated LoRA (aLoRA, Greenewald et al., 2025,
arXiv 2504.12397), whose adapter acts from the reply's header on. The keys and values of everything before are the
base's, before and after any night, and a gradient that stops at them is the exact one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad

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
    longest = max(map(len, contexts))
    ids_BC = sent(torch.tensor([[*tokens[shared:], *[0] * (longest - len(tokens))] for tokens in contexts]), device)
    with sdpa_kernel(_KERNELS, set_priority=True):
        model.model(input_ids=ids_BC, **kv.passed(model.model, cache))  # no token sees the padding after it
    layers = _whole([(layer.keys, layer.values) for layer in cache.layers], shared + ids_BC.shape[1])
    return {tokens: _Row(tokens, layers, row) for row, tokens in enumerate(contexts)}


class _Row(Context):
    """One of several that were encoded side by side, in their memory: by layer [B, G, C, D], padded behind it."""

    beside: tuple[tuple[Tensor, Tensor], ...]
    row: int

    def __init__(self, tokens: tuple[int, ...], beside: tuple[tuple[Tensor, Tensor], ...], row: int) -> None:
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "beside", beside)
        object.__setattr__(self, "row", row)

    @cached_property
    def layers(self) -> tuple[tuple[Tensor, Tensor], ...]:
        own = slice(0, len(self.tokens))
        return tuple((keys[self.row, None, :, own], values[self.row, None, :, own]) for keys, values in self.beside)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on `device`, without waiting for what the device is doing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class Following(NamedTuple):
    """A sequence of `length` tokens, the first of which is the batch's token `first`, and how many it sees of a
    context, which is one of several."""

    context: int
    seen: int
    first: int
    length: int


def places(sequences: Sequence[Following]) -> tuple[Tensor, Tensor]:
    """Of the N tokens of all sequences, one after the other: which of the batch's it is, and whose."""
    first_X, length_X = torch.tensor([(one.first, one.length) for one in sequences]).T
    which_N = torch.arange(len(sequences)).repeat_interleave(length_X)
    return torch.arange(len(which_N)) + (first_X - length_X.cumsum(0) + length_X)[which_N], which_N


def padded(count: int, least: int = 128) -> int:
    """The size that so many are padded to, of which there are few: at most an eighth more, or `least`."""
    step = max(least, 1 << max(0, count.bit_length() - 4))
    return -(-count // step) * step


@dataclass(frozen=True)
class Joined:
    """Contexts one after the other, by layer [1, G, M, D], and where each begins among the M."""

    layers: Sequence[tuple[Tensor, Tensor]]
    starts: Sequence[int]


@torch.no_grad()
def joined(contexts: Sequence[Context], room: Callable[[int], int] = lambda held: held) -> Joined:
    """Join contexts; a single one that fills its room is not copied.

    Args:
        room: how many places there are for so many, those behind them zero.
    """
    starts = [0, *accumulate(len(context.tokens) for context in contexts)]
    held = starts.pop()
    rows = [context for context in contexts if isinstance(context, _Row)]
    if len(rows) == len(contexts) > 1 and all(row.beside is rows[0].beside for row in rows):
        B, _, C, _ = rows[0].beside[0][0].shape
        if 2 * held >= B * C:  # as they lie, with what is between them: a copy a layer
            flat = lambda tensor: pad(tensor.transpose(0, 1).flatten(1, 2)[None], (0, 0, 0, room(B * C) - B * C))  # noqa: E731
            layers = [(flat(keys), flat(values)) for keys, values in rows[0].beside]
            return Joined(layers, [row.row * C for row in rows])
    if len(contexts) == 1 and room(held) == held:
        return Joined(contexts[0].layers, starts)
    out = [(_wide(keys, room(held)), _wide(values, room(held))) for keys, values in contexts[0].layers]
    whole = [tensor for pair in out for tensor in pair]
    for start, context in zip(starts, contexts, strict=True):
        places = [tensor[:, :, start : start + len(context.tokens)] for tensor in whole]
        torch._foreach_copy_(places, [tensor for pair in context.layers for tensor in pair])
    return Joined(out, starts)


@torch.no_grad()
def beside(contexts: Sequence[Context], count: int, room: int) -> Sequence[tuple[Tensor, Tensor]]:
    """Contexts in `count` rows with room for so many tokens each, by layer [R, G, C, D]; a single one that fills its
    room is not copied."""
    if len(contexts) == count == 1 and len(contexts[0].tokens) == room:
        return contexts[0].layers
    held = [context for context in contexts if isinstance(context, _Row)]
    if len(held) == len(contexts) and all(row.beside is held[0].beside for row in held):
        lie = held[0].beside  # each row as it lies, with the padding behind it
        if (
            [row.row for row in held] == list(range(count))
            and lie[0][0].shape[0] == count
            and lie[0][0].shape[2] == room
        ):
            return lie
        wanted = [row.row for row in held] + [0] * (count - len(held))
        which_R = sent(torch.tensor(wanted), lie[0][0].device)
        at = lambda tensor: pad(tensor[:, :, :room].index_select(0, which_R), (0, 0, 0, max(0, room - tensor.shape[2])))  # noqa: E731
        return [(at(keys), at(values)) for keys, values in lie]
    wide = lambda tensor: tensor.new_zeros(count, tensor.shape[1], room, tensor.shape[3])  # noqa: E731
    out = [(wide(keys), wide(values)) for keys, values in contexts[0].layers]
    whole = [tensor for pair in out for tensor in pair]
    for row, context in enumerate(contexts):
        own = [tensor[row, None, :, : len(context.tokens)] for tensor in whole]
        torch._foreach_copy_(own, [tensor for pair in context.layers for tensor in pair])
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
