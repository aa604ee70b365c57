"""The unit of a night's work: a decision is the tokens of one reply after the tokens of its context."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from slowwave.errors import TrainingError
from slowwave.learn import cache as kv
from slowwave.learn.blocks import Blocks, blocks
from slowwave.learn.context import Context, Following, sent
from slowwave.learn.layers import Read, above
from slowwave.learn.packing import Packing, pack, packed_attention
from slowwave.learn.rows import Rows, fits, rows
from slowwave.learn.stack import Seats, seated, seating

_READ = 1 / 16  # what a token of a context that is encoded apart counts: it is read without a gradient


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
    persona: int = 0  # whose adapter it goes through, where many train together
    header: int = 1  # last tokens of the context that belong to the reply's turn: its header, such as "assistant:"

    def __len__(self) -> int:
        return len(self.context) + len(self.reply)

    @property
    def frozen(self) -> tuple[int, ...]:
        """The context before the reply's header: what a frozen context encodes."""
        return self.context[: len(self.context) - self.header]


@dataclass(frozen=True)
class Batch:
    """B decisions in one row of T tokens without padding: what they all begin with once, then the rest of each.

    A chat template's system prompt is a third of a short scene. It is encoded once a batch, with its gradient: the
    same sums as in B separate passes. N reply tokens.
    """

    ids_1T: Tensor
    positions_1T: Tensor  # of each token in its own decision
    packing: Packing | Rows | Blocks
    rows_N: Tensor  # which decision a reply token belongs to
    places_N: Tensor  # the token of T whose hidden state predicts it
    targets_N: Tensor
    seats: Seats | None = None  # of the tokens of many personas
    read: Read | None = None  # by the lower layers, where nobody trains them


Collate = Callable[[Sequence[Decision], torch.device], Batch]


class AfterContexts(ABC):
    """Packs decisions after contexts that are encoded apart: a `Collate`."""

    @abstractmethod
    def __call__(self, decisions: Sequence[Decision], device: torch.device) -> Batch:
        """What comes from each reply's header on."""


def collate(decisions: Sequence[Decision], device: torch.device) -> Batch:
    """Pack decisions into one batch and find the tokens that predict reply tokens, and only those."""
    shared = kv.shared([decision.context for decision in decisions])
    ids = list(decisions[0].context[:shared])
    positions = list(range(shared))
    rows: list[int] = []
    places: list[int] = []
    targets: list[int] = []
    for row, decision in enumerate(decisions):
        own = (*decision.context[shared:], *decision.reply)
        end = len(ids) + len(own) - 1  # its last token predicts nothing
        rows += [row] * len(decision.reply)
        places += range(end - len(decision.reply), end)
        targets += decision.reply
        ids += own
        positions += range(shared, len(decision))
    to = lambda values: torch.tensor(values, device=device)  # noqa: E731
    packing = pack(shared, [len(decision) - shared for decision in decisions], device)
    return Batch(to([ids]), to([positions]), packing, to(rows), to(places), to(targets))


def collate_after(
    decisions: Sequence[Decision], contexts: Sequence[Context], device: torch.device, *, apart: bool = False
) -> Batch:
    """Pack what comes from each reply's header on, after contexts whose keys and values are there already.

    Args:
        contexts: of each decision, one that begins with its frozen tokens; decisions may share one, which lies once.
        apart: each persona's tokens have a row of their own, which is filled up to the longest.

    Raises:
        TrainingError: a decision does not begin as its context does.
    """
    distinct = list({id(context): context for context in contexts}.values())
    place_of = {id(context): place for place, context in enumerate(distinct)}
    owners = [place_of[id(context)] for context in contexts]
    order = sorted(range(len(decisions)), key=lambda row: (decisions[row].persona, owners[row]))
    groups = [list(rows) for _, rows in groupby(order, lambda row: decisions[row].persona)] if apart else [order]
    sizes = [sum(len(decisions[row]) - len(decisions[row].frozen) for row in group) for group in groups]
    seats, length = seating(sizes, device) if apart else (0, 0)
    sequences: list[Following] = []
    ids: list[int] = []
    positions: list[int] = []
    first = [0] * len(decisions)  # the token that predicts the reply's first
    for place, group in enumerate(groups):
        fill = place * length - len(ids)
        ids += [0] * fill
        positions += [0] * fill
        for row in group:
            decision, frozen = decisions[row], decisions[row].frozen
            if contexts[row].tokens[: len(frozen)] != frozen:
                raise TrainingError("A decision does not begin as the context that was encoded for it.")
            own = (*decision.context[len(frozen) :], *decision.reply)
            sequences.append(Following(owners[row], len(frozen), len(ids), len(own)))
            first[row] = len(ids) + len(own) - 1 - len(decision.reply)
            ids += own
            positions += range(len(frozen), len(decision))
    on_gpu, size = device.type == "cuda", seats * length or None
    packing: Rows | Blocks
    if on_gpu and not fits(distinct, sequences):
        packing = blocks(distinct, sequences, device, size)
    else:
        packing = rows(distinct, sequences, device, size, few=on_gpu)
    ids, positions = (one + [0] * (packing.tokens - len(ids)) for one in (ids, positions))
    to = lambda values: sent(torch.tensor(values), device)  # noqa: E731
    whose = [decisions[group[0]].persona for group in groups]
    return Batch(
        to([ids]),
        to([positions]),
        packing,
        to([row for row, decision in enumerate(decisions) for _ in decision.reply]),
        to([first[row] + i for row, decision in enumerate(decisions) for i in range(len(decision.reply))]),
        to([token for decision in decisions for token in decision.reply]),
        Seats(to(whose + whose[:1] * (seats - len(whose)))) if apart else None,
    )


def micro_batches(decisions: Sequence[Decision], tokens: int, pack: Collate | None = None) -> list[list[int]]:
    """Indices of decisions that go through the model together: so many tokens, or one decision. In one pass with their
    contexts those of like length; after contexts those of one persona and one context, whose tokens count a sixteenth,
    and once."""
    after = isinstance(pack, AfterContexts)
    out: list[list[int]] = []
    held, before = float(tokens), None  # the first decision opens the first batch
    alike: Callable[[int], Any] = (
        (lambda i: (decisions[i].persona, decisions[i].frozen)) if after else (lambda i: len(decisions[i]))
    )
    for i in sorted(range(len(decisions)), key=alike):
        one = decisions[i]
        context = one.frozen if after else None
        read, own = len(one.frozen) * _READ if after else 0.0, len(one) - (len(one.frozen) if after else 0)
        held += own + (read if context != before else 0.0)
        if held > tokens:
            out.append([])
            held = own + read
        before = context
        out[-1].append(i)
    return out


def hidden(model: Any, batch: Batch) -> Tensor:
    """The last hidden states [1, T, D]."""
    with packed_attention(model), seated(batch.seats), above(model, batch.read) if batch.read else nullcontext():
        return model.model(
            input_ids=batch.ids_1T, position_ids=batch.positions_1T, packing=batch.packing, use_cache=False,
            attention_mask=torch.ones(1, 1, 1, 1, device=batch.ids_1T.device),  # the packing has its own
        ).last_hidden_state  # fmt: skip


def reply_hidden(model: Any, batch: Batch) -> Tensor:
    """The hidden states [N, D] that predict the reply tokens, and only those: most tokens need no answer."""
    return hidden(model, batch)[0, batch.places_N]
