"""Attention of many short sequences that lie one after the other in one, all after the same beginning. Those after
contexts whose keys and values are there already are in `rows.py` and `blocks.py`.

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
from slowwave.learn.rows import Rows, written_out

_NAME = "slowwave_packed"


@dataclass(frozen=True)
class Packing:
    """Where P shared tokens and R sequences after them lie among T tokens; L is the longest sequence, S = P + L.

    The shared beginning is one row more, which sees itself alone. Padded places point to token 0, and no valid query
    sees one.
    """

    query_RL: Tensor  # each row's tokens
    key_RS: Tensor  # what its queries may see: the beginning, then its own tokens
    visible_R1LS: Tensor  # bool
    place_T: Tensor  # where each token lies among the R * L places


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
    packing: Packing | Rows | Blocks,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function [1, H, T, D] -> [1, T, H, D], one sequence a row."""
    if not isinstance(packing, Packing):
        return packing.attend(cast("int", module.layer_idx), query, key, value, kwargs.get("scaling")), None
    rows = (_rows(query, packing.query_RL), _rows(key, packing.key_RS), _rows(value, packing.key_RS))
    if query.device.type == "cpu" and not kwargs.get("dropout"):
        out_RLHD = written_out(*rows, packing.visible_R1LS, kwargs.get("scaling"))
    else:
        out_RLHD, _ = sdpa_attention_forward(module, *rows, packing.visible_R1LS, **kwargs)
    return out_RLHD.flatten(0, 1).index_select(0, packing.place_T)[None], None


def _rows(x_1HTD: Tensor, index_RL: Tensor) -> Tensor:
    """The tokens of each row: [1, H, T, D] -> [R, H, L, D]."""
    x_THD = x_1HTD[0].transpose(0, 1)
    return x_THD.index_select(0, index_RL.flatten()).unflatten(0, index_RL.shape).transpose(1, 2)


AttentionInterface.register(_NAME, _attention)
