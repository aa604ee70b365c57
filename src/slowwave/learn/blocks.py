"""Attention after contexts on a GPU: block-sparse, by FlexAttention.

A reply's tokens see their context and, causally, themselves. The two are attended to apart and put together by their
log-sum-exps: exact, as in FlashAttention's own blocks (Dao et al., 2022, arXiv 2205.14135, section 3.1). `rows.py` is
the same for a CPU, and for short contexts, with a mask.

Tokens and keys are padded to a size of which there are few, so that one compiled kernel, and one captured step
(`captured.py`), serve many micro-batches. A padded token sees itself and the first key; nothing sees a padded key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from slowwave.learn.context import Context, Following, joined, padded, places, sent

BLOCK = 128  # tokens by keys that a kernel skips or takes as one
_KINDS = 64  # of attention that a process may compile


@dataclass(frozen=True)
class Span:
    """Which keys each of T tokens sees: those from `first_T` to before `end_T`."""

    first_T: Tensor
    end_T: Tensor
    mask: BlockMask

    def tensors(self) -> list[Tensor]:
        """Everything that a kernel reads, in a fixed order."""
        mask: Any = self.mask
        lists = (
            (mask.kv_num_blocks, mask.kv_indices), (mask.full_kv_num_blocks, mask.full_kv_indices),
            (mask.q_num_blocks, mask.q_indices), (mask.full_q_num_blocks, mask.full_q_indices),
        )  # fmt: skip
        return [self.first_T, self.end_T, *(tensor for pair in lists for tensor in pair)]


@dataclass(frozen=True)
class Blocks:
    """Which of T tokens see which of themselves, and which of the M tokens of contexts before them."""

    own: Span
    past: Span | None  # None: no context has a token
    before: Sequence[tuple[Tensor, Tensor]]  # by layer, keys and values [1, G, M, D]

    @property
    def tokens(self) -> int:
        """T, padding included."""
        return len(self.own.first_T)

    def tensors(self) -> list[Tensor]:
        """Everything that attention reads beside the tokens' own, in a fixed order."""
        spans = [self.own] if self.past is None else [self.own, self.past]
        lists = [tensor for span in spans for tensor in span.tensors()]
        return [*lists, *(tensor for pair in self.before for tensor in pair)]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        """[1, H, T, D] and [1, G, T, D] -> [1, T, H, D]."""
        options = {"scale": scale, "enable_gqa": True, "return_lse": True}
        out, own_HT = _flex()(query, key, value, block_mask=self.own.mask, **options)
        if self.past is not None:
            past, past_HT = _flex()(query, *self.before[layer], block_mask=self.past.mask, **options)
            share_HT = torch.sigmoid(past_HT - own_HT)[..., None].to(out.dtype)
            out = torch.lerp(out, past, share_HT)
        return out.transpose(1, 2)


def blocks(
    contexts: Sequence[Context], sequences: Sequence[Following], device: torch.device, size: int | None = None
) -> Blocks:
    """Sequences after contexts, among `size` tokens."""
    token_N, which_N = places(sequences)
    place_T = torch.arange(size or padded(int(token_N.max()) + 1))
    begin_T = place_T.clone()  # a padded token sees itself
    owner_X, seen_X, begin_X, _ = torch.tensor(sequences).T
    begin_T[token_N] = begin_X[which_N]
    own = _span(begin_T, place_T + 1, len(place_T), device)
    if not any(one.tokens for one in contexts):
        return Blocks(own, None, ())
    before = joined(contexts, padded)
    first_T, end_T = torch.zeros_like(place_T), torch.ones_like(place_T)  # and the first key
    start_X = torch.tensor(before.starts)[owner_X]
    first_T[token_N], end_T[token_N] = start_X[which_N], (start_X + seen_X)[which_N]
    return Blocks(own, _span(first_T, end_T, before.layers[0][0].shape[2], device), before.layers)


def _span(first_T: Tensor, end_T: Tensor, keys: int, device: torch.device) -> Span:
    first_T, end_T = sent(first_T, device), sent(end_T, device)
    start_K = torch.arange(0, keys, BLOCK, device=device)
    some_TK = (first_T[:, None] < start_K + BLOCK) & (end_T[:, None] > start_K)
    whole_TK = (first_T[:, None] <= start_K) & (end_T[:, None] >= start_K + BLOCK)
    some_QK, whole_QK = some_TK.unflatten(0, (-1, BLOCK)).any(1), whole_TK.unflatten(0, (-1, BLOCK)).all(1)
    some_QK &= ~whole_QK

    def sees(_: Tensor, __: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key >= first_T[query]) & (key < end_T[query])

    lists = (tensor for chosen in (some_QK, whole_QK, some_QK.T, whole_QK.T) for tensor in _listed(chosen))
    mask: Any = BlockMask
    listed = mask((len(first_T), keys), *lists, BLOCK_SIZE=(BLOCK, BLOCK), mask_mod=sees)
    return Span(first_T, end_T, listed)


def _listed(chosen_QK: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of each row are chosen [1, 1, Q], and the chosen ones first [1, 1, Q, K]."""
    order_QK = chosen_QK.int().argsort(dim=-1, descending=True, stable=True)
    return chosen_QK.sum(-1).int()[None, None], order_QK.int()[None, None]


@cache
def _flex() -> Any:
    from torch._dynamo import config  # takes a second, which only a GPU needs

    # one kernel each for own and past, with a gradient and without, and for every kind of model in the process. Beyond
    # the limit torch would attend densely, without a word: whole graphs only
    config.recompile_limit = max(config.recompile_limit, _KINDS)
    return torch.compile(flex_attention, dynamic=True, fullgraph=True)
