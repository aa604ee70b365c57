"""Attention after contexts on a GPU: block-sparse, without copies of the contexts' keys, by FlexAttention.

A reply's tokens see their context and, causally, themselves. The two are attended to apart and put together by their
log-sum-exps, so that the contexts' keys and values stay where they are: exact, as in FlashAttention's own blocks
(Dao et al., 2022, arXiv 2205.14135, section 3.1). `packing.py` is the same for the CPU, with a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention


@dataclass(frozen=True)
class Blocks:
    """Which of T tokens see which of themselves, and which of the M tokens of contexts before them."""

    own: BlockMask
    past: BlockMask | None  # None: no context has a token
    before: Sequence[tuple[Tensor, Tensor]]  # by layer, keys and values [1, G, M, D]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        """[1, H, T, D] and [1, G, T, D] -> [1, T, H, D]."""
        out, own_HT = _flex()(query, key, value, block_mask=self.own, scale=scale, enable_gqa=True, return_lse=True)
        if self.past is not None:
            keys, values = self.before[layer]
            past, past_HT = _flex()(
                query, keys, values, block_mask=self.past, scale=scale, enable_gqa=True, return_lse=True
            )
            share_HT = torch.sigmoid(past_HT - own_HT)[..., None].to(out.dtype)
            out = torch.lerp(out, past, share_HT)
        return out.transpose(1, 2)


def blocks(contexts: Sequence[int], sequences: Sequence[tuple[int, int, int]], device: torch.device) -> Blocks:
    """As `packing.pack_after`, whose arguments these are; `before` is the caller's."""
    to = lambda values: torch.tensor(values, device=device)  # noqa: E731
    starts = [sum(contexts[:row]) for row in range(len(contexts))]
    number_T = to([place for place, (_, _, length) in enumerate(sequences) for _ in range(length)])
    first_T = to([starts[row] for row, _, length in sequences for _ in range(length)])
    end_T = to([starts[row] + seen for row, seen, length in sequences for _ in range(length)])

    def own(_: Tensor, __: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (number_T[query] == number_T[key]) & (query >= key)

    def past(_: Tensor, __: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key >= first_T[query]) & (key < end_T[query])

    count, before = len(number_T), sum(contexts)
    mask: Any = create_block_mask
    return Blocks(
        mask(own, None, None, count, count, device=device),
        mask(past, None, None, count, before, device=device) if before else None,
        (),
    )


@cache
def _flex() -> Any:
    return torch.compile(flex_attention)
