"""The unit of a night's work: a decision is the tokens of one reply after the tokens of its context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from slowwave.errors import TrainingError
from slowwave.learn import cache as kv


@dataclass(frozen=True)
class Decision:
    """Context tokens never carry loss; reply tokens do.

    `weight` multiplies its loss. `lesson` is True for cross-entropy on the reply, False for an anchor, whose target is
    the frozen teacher's distribution; `from_start` says that the version which training started from teaches, else
    the base.
    """

    context: tuple[int, ...]
    reply: tuple[int, ...]
    weight: float = 1.0
    lesson: bool = True
    from_start: bool = False  # anchors only: taught by the starting version instead of the base

    def __len__(self) -> int:
        return len(self.context) + len(self.reply)


# Fewer shared tokens than this are not worth a forward of their own.
_SHARED = 8


@dataclass(frozen=True)
class Batch:
    """B decisions, which begin with the same P tokens and go on with T tokens, padded on the right; N reply tokens.

    The shared beginning (a chat template's system prompt is a third of a short scene) is encoded once a batch, with
    its gradient: the same sums as in B separate passes. P is 0 where they share little.
    """

    prefix_P: Tensor
    ids_BT: Tensor
    mask_BT: Tensor
    rows_N: Tensor  # which decision a reply token belongs to
    places_N: Tensor  # the position whose hidden state predicts it
    targets_N: Tensor


def collate(decisions: Sequence[Decision], pad: int, device: torch.device) -> Batch:
    """Pad decisions into one batch and find the positions that predict reply tokens, and only those."""
    shared = _shared([decision.context for decision in decisions])
    longest = max(len(d) for d in decisions) - shared
    ids_BT = torch.full((len(decisions), longest), pad)
    mask_BT = torch.zeros_like(ids_BT)
    rows: list[int] = []
    places: list[int] = []
    targets: list[int] = []
    for row, decision in enumerate(decisions):
        tokens = (*decision.context[shared:], *decision.reply)
        ids_BT[row, : len(tokens)] = torch.tensor(tokens)
        mask_BT[row, : len(tokens)] = 1
        rows += [row] * len(decision.reply)
        places += range(len(decision.context) - shared - 1, len(tokens) - 1)
        targets += decision.reply
    to = lambda values: torch.tensor(values, device=device)  # noqa: E731
    prefix_P = torch.tensor(decisions[0].context[:shared], dtype=torch.long, device=device)
    return Batch(prefix_P, ids_BT.to(device), mask_BT.to(device), to(rows), to(places), to(targets))


def _shared(contexts: Sequence[tuple[int, ...]]) -> int:
    """How many tokens all contexts begin with; each keeps one of its own, which predicts its first reply token."""
    if len(contexts) < 2:
        return 0
    first, last = min(contexts), max(contexts)  # in order of their tokens: what these two share, all share
    most = min(map(len, contexts)) - 1
    count = next((i for i in range(most) if first[i] != last[i]), most)
    return count if count >= _SHARED else 0


def reply_logits(model: Any, batch: Batch) -> Tensor:
    """Logits [N, V] of the reply tokens alone: the vocabulary is the widest layer, and most tokens need no answer."""
    logits_NV: Tensor = model.lm_head(reply_hidden(model, batch))
    return logits_NV


def reply_hidden(model: Any, batch: Batch) -> Tensor:
    """The hidden states [N, D] that predict the reply tokens."""
    rows, shared = batch.ids_BT.shape[0], len(batch.prefix_P)
    cache, mask_BS = None, batch.mask_BT
    if shared:
        cache = kv.empty(model)
        model.model(input_ids=batch.prefix_P[None], **kv.passed(model.model, cache))
        if cache.get_seq_length() != shared:
            raise TrainingError(
                "The model kept no cache of the shared beginning.", "Switch gradient checkpointing off."
            )
        cache.batch_repeat_interleave(rows)
        mask_BS = torch.cat([mask_BS.new_ones(rows, shared), mask_BS], dim=1)
    hidden_BTD = model.model(
        input_ids=batch.ids_BT, attention_mask=mask_BS, **kv.passed(model.model, cache)
    ).last_hidden_state
    return hidden_BTD[batch.rows_N, batch.places_N]
