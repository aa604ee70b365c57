"""Attention of many short sequences that lie one after the other in one, all after the same beginning, or each after
a context whose keys and values are there already.

Linear layers, norms and the head then see every token once and no padding; only attention takes the sequences apart.
The shared beginning's keys and values are computed once and serve every sequence. Every token sees all before it in its
sequence: of a model with a sliding window, sequences must be shorter than the window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from slowwave.learn.blocks import Blocks
from slowwave.learn.context import Context, joined

_NAME = "slowwave_packed"


@dataclass(frozen=True)
class Packing:
    """Where P shared tokens and R sequences after them lie among T tokens; L is the longest sequence, S = P + L.

    The shared beginning is one row more, which sees itself alone. Padded places point to token 0, and no valid query
    sees one.

    With contexts there is a row for each, with all sequences that follow it; their M tokens lie before the T as keys.
    """

    query_RL: Tensor  # each row's tokens
    key_RS: Tensor  # what its queries may see: the beginning, then its own tokens; among M + T with contexts
    visible_R1LS: Tensor  # bool
    place_T: Tensor  # where each token lies among the R * L places
    before: Sequence[tuple[Tensor, Tensor]] = ()  # by layer, the contexts' keys and values [1, G, M, D]


def pack(shared: int, lengths: Sequence[int], device: torch.device) -> Packing:
    """The packing of `shared` tokens and sequences of so many tokens, in this order."""
    rows = [(0, shared), *_spans(shared, lengths)] if shared else _spans(0, lengths)
    longest = max(length for _, length in rows)
    query_RL = torch.zeros(len(rows), longest, dtype=torch.long)
    key_RS = torch.zeros(len(rows), shared + longest, dtype=torch.long)
    key_RS[:, :shared] = torch.arange(shared)
    place_T = torch.empty(shared + sum(lengths), dtype=torch.long)
    for row, (start, length) in enumerate(rows):
        tokens = torch.arange(start, start + length)
        query_RL[row, :length] = tokens
        key_RS[row, shared : shared + length] = tokens
        place_T[tokens] = row * longest + torch.arange(length)
    own_LL = torch.ones(longest, longest, dtype=torch.bool).tril()
    visible_R1LS = torch.ones(len(rows), 1, longest, shared + longest, dtype=torch.bool)
    visible_R1LS[..., shared:] = own_LL
    if shared:
        visible_R1LS[0, ..., :shared] = False
    return Packing(query_RL.to(device), key_RS.to(device), visible_R1LS.to(device), place_T.to(device))


def pack_after(contexts: Sequence[Context], sequences: Sequence[tuple[int, int, int]], device: torch.device) -> Packing:
    """The packing of sequences that follow contexts.

    Args:
        sequences: (its context, how many of the context's tokens it sees, its own length), in the order in which they
            lie, those of one context together.
    """
    lengths = [len(context.tokens) for context in contexts]
    longest, before = max(lengths), joined(contexts)
    held = before.layers[0][0].shape[2]
    own = [sum(length for owner, _, length in sequences if owner == row) for row in range(len(contexts))]
    query_RL = torch.zeros(len(contexts), max(own), dtype=torch.long)
    key_RS = torch.zeros(len(contexts), longest + max(own), dtype=torch.long)
    visible_R1LS = torch.zeros(len(contexts), 1, max(own), longest + max(own), dtype=torch.bool)
    place_T = torch.empty(sum(own), dtype=torch.long)
    for row, (first, length) in enumerate(zip(before.starts, lengths, strict=True)):
        key_RS[row, :length] = torch.arange(first, first + length)
    taken = [0] * len(contexts)
    for (start, length), (row, seen, _) in zip(_spans(0, [n for *_, n in sequences]), sequences, strict=True):
        tokens, mine = torch.arange(start, start + length), taken[row] + torch.arange(length)
        query_RL[row, mine] = tokens
        key_RS[row, longest + mine] = held + tokens
        visible_R1LS[row, 0, mine, :seen] = True
        visible_R1LS[row, 0, mine[:, None], longest + mine] = torch.ones(length, length).tril().bool()
        place_T[tokens] = row * max(own) + mine
        taken[row] += length
    for row, filled in enumerate(taken):
        visible_R1LS[row, 0, filled:, longest] = True  # a padded query that saw nothing would be a NaN
    query_RL, key_RS, visible_R1LS, place_T = (one.to(device) for one in (query_RL, key_RS, visible_R1LS, place_T))
    return Packing(query_RL, key_RS, visible_R1LS, place_T, before.layers)


def _spans(start: int, lengths: Sequence[int]) -> list[tuple[int, int]]:
    """(first token, length) of sequences that follow each other from `start`."""
    out = []
    for length in lengths:
        out.append((start, length))
        start += length
    return out


@contextmanager
def packed_attention(model: nn.Module) -> Iterator[None]:
    """Inside the block the model's forward takes `packing` and one row [1, T] of tokens."""
    config: Any = model.config
    before = config._attn_implementation
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    *,
    packing: Packing | Blocks,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function [1, H, T, D] -> [1, T, H, D], one sequence a row."""
    if isinstance(packing, Blocks):
        return packing.attend(cast("int", module.layer_idx), query, key, value, kwargs.get("scaling")), None
    if packing.before:
        keys, values = packing.before[cast("int", module.layer_idx)]
        key, value = torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)
    rows = (_rows(query, packing.query_RL), _rows(key, packing.key_RS), _rows(value, packing.key_RS))
    if query.device.type == "cpu" and not kwargs.get("dropout"):
        out_RLHD = _short(*rows, packing.visible_R1LS, kwargs.get("scaling"))
    else:
        out_RLHD, _ = sdpa_attention_forward(module, *rows, packing.visible_R1LS, **kwargs)
    return out_RLHD.flatten(0, 1).index_select(0, packing.place_T)[None], None


def _short(query_RHLD: Tensor, key_RGSD: Tensor, value_RGSD: Tensor, visible_R1LS: Tensor, scale: Any) -> Tensor:
    """Attention [R, L, H, D] of short sequences, written out: torch's own for the CPU takes several times as long to
    go back through. The H / G query heads of a key head are one product."""
    R, H, L, D = query_RHLD.shape
    G = key_RGSD.shape[1]
    unseen_R1LS = torch.zeros(visible_R1LS.shape, dtype=query_RHLD.dtype).masked_fill_(~visible_R1LS, -torch.inf)
    scaled_RGSD = key_RGSD * (D**-0.5 if scale is None else scale)
    score_RGNLS = (query_RHLD.reshape(R, G, -1, D) @ scaled_RGSD.mT).view(R, G, H // G, L, -1) + unseen_R1LS[:, None]
    out_RGND = score_RGNLS.softmax(-1).flatten(2, 3) @ value_RGSD
    return out_RGND.view(R, H, L, D).transpose(1, 2)


def _rows(x_1HTD: Tensor, index_RL: Tensor) -> Tensor:
    """The tokens of each row: [1, H, T, D] -> [R, H, L, D]."""
    x_THD = x_1HTD[0].transpose(0, 1)
    return x_THD.index_select(0, index_RL.flatten()).unflatten(0, index_RL.shape).transpose(1, 2)


AttentionInterface.register(_NAME, _attention)
