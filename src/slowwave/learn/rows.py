"""Attention after contexts, dense: a context and all that follows it are a row, filled up to the longest.

For a CPU, and for the short contexts of chats on a GPU, of which a block of `blocks.py` would hold several. Linear
layers, norms and the head see every token once; only attention takes the sequences apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from slowwave.learn.context import SHORT, Context, Following, beside, padded, places, sent

_TOKENS, _ROWS = 16, 4  # on a GPU their numbers are multiples: few sizes, so that few steps are captured
_MOST = 2**22  # places of all rows' queries and keys that a GPU takes so
_KERNELS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


@dataclass(frozen=True)
class Rows:
    """Where T tokens lie in R rows of L places, after C tokens of contexts; S = C + L.

    What is filled up points to the first token or place. It sees itself, nothing sees it, and it has no gradient.
    """

    query_RL: Tensor  # each row's tokens
    empty_RL: Tensor  # bool: nobody's place
    place_T: Tensor  # where each token lies among the R * L places
    empty_T: Tensor  # bool: nobody's token
    visible_R1LS: Tensor  # bool
    before: Sequence[tuple[Tensor, Tensor]]  # by layer, the contexts' keys and values [R, G, C, D]; none without tokens

    @property
    def tokens(self) -> int:
        """T, padding included."""
        return len(self.place_T)

    def tensors(self) -> list[Tensor]:
        """Everything that attention reads beside the tokens' own, in a fixed order."""
        own = [self.query_RL, self.empty_RL, self.place_T, self.empty_T, self.visible_R1LS]
        return [*own, *(tensor for pair in self.before for tensor in pair)]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        """[1, H, T, D] and [1, G, T, D] -> [1, T, H, D]."""
        query, key, value = map(self._rows, (query, key, value))
        if self.before:
            keys, values = (tensor.to(key.dtype) for tensor in self.before[layer])
            key, value = torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)
        attention = fused if query.is_cuda else written_out
        out_RLHD = attention(query, key, value, self.visible_R1LS, scale)
        return _moved(out_RLHD.flatten(0, 1), self.place_T, self.query_RL.flatten(), self.empty_RL.flatten())[None]

    def _rows(self, x_1HTD: Tensor) -> Tensor:
        moved = _moved(x_1HTD[0].transpose(0, 1), self.query_RL.flatten(), self.place_T, self.empty_T)
        return moved.unflatten(0, self.query_RL.shape).transpose(1, 2)


def rows(
    contexts: Sequence[Context],
    sequences: Sequence[Following],
    device: torch.device,
    size: int | None = None,
    *,
    few: bool = False,
) -> Rows:
    """Sequences after contexts, among `size` tokens; `few`: of few sizes, for a GPU."""
    count, (longest, before) = len(contexts), _widest(contexts, sequences)
    if few:
        count, longest, before = padded(count, _ROWS), padded(longest, _TOKENS), padded(before, _TOKENS)
    token_N, which_N = places(sequences)
    owner_X, seen_X, _, length_X = torch.tensor(sequences).T
    taken, held = [], [0] * len(contexts)
    for one in sequences:  # those of one context may lie apart
        taken.append(held[one.context])
        held[one.context] += one.length
    taken_X = torch.tensor(taken)
    within_N = torch.arange(len(token_N)) - (length_X.cumsum(0) - length_X)[which_N]
    place_N = owner_X[which_N] * longest + taken_X[which_N] + within_N

    tokens = size or (padded(int(token_N.max()) + 1) if few else int(token_N.max()) + 1)
    query_RL = torch.zeros(count * longest, dtype=torch.long)
    empty_RL, empty_T = torch.ones(count * longest, dtype=torch.bool), torch.ones(tokens, dtype=torch.bool)
    place_T = torch.zeros(tokens, dtype=torch.long)
    begin_RL, seen_RL = torch.arange(longest).repeat(count), torch.zeros(count * longest, dtype=torch.long)
    query_RL[place_N], place_T[token_N] = token_N, place_N
    empty_RL[place_N] = empty_T[token_N] = False
    begin_RL[place_N], seen_RL[place_N] = taken_X[which_N], seen_X[which_N]

    to = lambda tensor: sent(tensor, device)  # noqa: E731
    begin_RL, seen_RL = (to(one).view(count, longest, 1) for one in (begin_RL, seen_RL))
    own_L, before_C = torch.arange(longest, device=device), torch.arange(before, device=device)
    own_RLL = (own_L >= begin_RL) & (own_L <= own_L[:, None])
    visible_R1LS = torch.cat([before_C < seen_RL, own_RLL], dim=2)[:, None]
    held_by = beside(contexts, count, before) if before else ()
    return Rows(
        to(query_RL).view(count, longest), to(empty_RL).view(count, longest), to(place_T), to(empty_T), visible_R1LS,
        held_by,
    )  # fmt: skip


def fits(contexts: Sequence[Context], sequences: Sequence[Following]) -> bool:
    """Whether a GPU attends to these in rows in less time and memory than in blocks."""
    longest, before = _widest(contexts, sequences)
    return before <= SHORT and len(contexts) * longest * (before + longest) <= _MOST


def _widest(contexts: Sequence[Context], sequences: Sequence[Following]) -> tuple[int, int]:
    """The most tokens that follow one context, and that one has."""
    held = [0] * len(contexts)
    for one in sequences:
        held[one.context] += one.length
    return max(held), max(len(context.tokens) for context in contexts)


def written_out(query_RHLD: Tensor, key_RGSD: Tensor, value_RGSD: Tensor, visible_R1LS: Tensor, scale: Any) -> Tensor:
    """Attention [R, L, H, D] of short sequences, written out: torch's own for the CPU takes several times as long to
    go back through. The H / G query heads of a key head are one product."""
    R, H, L, D = query_RHLD.shape
    G = key_RGSD.shape[1]
    unseen_R1LS = torch.zeros(visible_R1LS.shape, dtype=query_RHLD.dtype).masked_fill_(~visible_R1LS, -torch.inf)
    scaled_RGSD = key_RGSD * (D**-0.5 if scale is None else scale)
    score_RGNLS = (query_RHLD.reshape(R, G, -1, D) @ scaled_RGSD.mT).view(R, G, H // G, L, -1) + unseen_R1LS[:, None]
    out_RGND = score_RGNLS.softmax(-1).flatten(2, 3) @ value_RGSD
    return out_RGND.view(R, H, L, D).transpose(1, 2)


def fused(query_RHLD: Tensor, key_RGSD: Tensor, value_RGSD: Tensor, visible_R1LS: Tensor, scale: Any) -> Tensor:
    """As `written_out`, by a GPU's kernel: the query heads of a key head are more queries of it."""
    R, H, L, D = query_RHLD.shape
    G = key_RGSD.shape[1]
    unseen_R1LS = query_RHLD.new_zeros(visible_R1LS.shape).masked_fill_(~visible_R1LS, -torch.inf)
    unseen_RGNS = unseen_R1LS.repeat(1, 1, H // G, 1).expand(-1, G, -1, -1)
    query_RGND = query_RHLD.reshape(R, G, -1, D)
    with sdpa_kernel(_KERNELS):
        out_RGND = scaled_dot_product_attention(query_RGND, key_RGSD, value_RGSD, unseen_RGNS, scale=scale)
    return out_RGND.reshape(R, H, L, D).transpose(1, 2)


def _moved(x: Tensor, to: Tensor, back: Tensor, empty: Tensor) -> Tensor:
    moved: Tensor = _Moved.apply(x, to, back, empty)
    return moved


class _Moved(torch.autograd.Function):
    """x [N, ...] at the places `to` [M], of which each that counts is read once: its gradient lies at `back` [N], and
    is nothing where `empty` [N]. Read, too, where adding up would take several times as long."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, to: Tensor, back: Tensor, empty: Tensor) -> Tensor:
        """[N, ...] -> [M, ...]."""
        ctx.save_for_backward(back, empty)
        return x.index_select(0, to)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """[M, ...] -> [N, ...]."""
        back, empty = ctx.saved_tensors
        grad = grads[0].index_select(0, back)
        return grad.masked_fill_(empty.view(-1, *[1] * (grad.dim() - 1)), 0.0), None, None, None
