"""The unit of a night's work: a decision is the tokens of one reply after the tokens of its context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


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


@dataclass(frozen=True)
class Batch:
    """B decisions padded on the right to T tokens; N reply tokens in all."""

    ids_BT: Tensor
    mask_BT: Tensor
    rows_N: Tensor  # which decision a reply token belongs to
    places_N: Tensor  # the position whose hidden state predicts it
    targets_N: Tensor


def collate(decisions: Sequence[Decision], pad: int, device: torch.device) -> Batch:
    """Pad decisions into one batch and find the positions that predict reply tokens, and only those."""
    longest = max(len(d) for d in decisions)
    ids_BT = torch.full((len(decisions), longest), pad)
    mask_BT = torch.zeros_like(ids_BT)
    rows: list[int] = []
    places: list[int] = []
    targets: list[int] = []
    for row, decision in enumerate(decisions):
        tokens = (*decision.context, *decision.reply)
        ids_BT[row, : len(tokens)] = torch.tensor(tokens)
        mask_BT[row, : len(tokens)] = 1
        rows += [row] * len(decision.reply)
        places += range(len(decision.context) - 1, len(tokens) - 1)
        targets += decision.reply
    to = lambda values: torch.tensor(values, device=device)  # noqa: E731
    return Batch(ids_BT.to(device), mask_BT.to(device), to(rows), to(places), to(targets))


def reply_logits(model: Any, batch: Batch) -> Tensor:
    """Logits [N, V] of the reply tokens alone: the vocabulary is the widest layer, and most tokens need no answer."""
    hidden_BTD = model.model(input_ids=batch.ids_BT, attention_mask=batch.mask_BT, use_cache=False).last_hidden_state
    return model.lm_head(hidden_BTD[batch.rows_N, batch.places_N])
