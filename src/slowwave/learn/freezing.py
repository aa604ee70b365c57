"""How decisions of a night are packed: in one pass with their contexts, or after contexts that carry no gradient."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from slowwave.errors import TrainingError
from slowwave.learn import adapter
from slowwave.learn.context import SHORT, Context, encode_all
from slowwave.learn.decision import AfterContexts, Batch, Collate, Decision, collate, collate_after
from slowwave.learn.store import Budget, ContextStore

_BYTES = 2 << 30  # of long contexts that a night keeps on a CPU


@dataclass(frozen=True)
class Disk:
    """Where long contexts of a base are kept from night to night.

    Args:
        folder: the base's own.
        base: hash of its weights, and what it computes in.
        template: hash of its chat template.
        size: bytes at most.
    """

    folder: Path
    base: str
    template: str
    size: int


def packer(model: Any, *, frozen: bool, detached: bool, plain: Collate = collate, disk: Disk | None = None) -> Collate:
    """The way in which decisions are packed for `model`.

    Args:
        frozen: the base reads the contexts, whatever is in training: exact for an adapter that acts from the header on.
        detached: the model as it stands reads them, without gradient: the gradient leaves out what changes there.
        plain: how they are packed in one pass with their contexts.
        disk: keeps long contexts that the base read, once the packer is closed.
    """
    return After(model, frozen=frozen, disk=disk) if frozen or detached else plain


class After(AfterContexts):
    """Decisions after contexts that the model, or the base if `frozen`, reads; `apart`: each persona's in its row."""

    def __init__(self, model: Any, *, frozen: bool, apart: bool = False, disk: Disk | None = None) -> None:
        self.model, self.frozen, self.apart = model, frozen, apart
        # the long contexts do not change in a night; on a CPU both tiers of memory are one, beside the model
        budget = Budget(device=_BYTES, host=0) if model.device.type == "cpu" else Budget()
        self.store = None
        if frozen and disk:
            budget = replace(budget, disk=disk.size)
            self.store = ContextStore(model, disk.base, disk.template, budget=budget, folder=disk.folder)
        elif frozen:
            self.store = ContextStore(model, "of this night", "its own", budget=budget)

    def __call__(self, decisions: Sequence[Decision], device: torch.device) -> Batch:
        wanted = {decision.frozen for decision in decisions}
        kept = {tokens for tokens in wanted if self.store and len(tokens) > SHORT}
        contexts: dict[tuple[int, ...], Context] = {}
        if len(wanted) > len(kept):
            with adapter.silent(self.model) if self.frozen else nullcontext():
                contexts = encode_all(self.model, [one.frozen for one in decisions if one.frozen not in kept])
        if self.store:
            contexts |= self.store.get_all(sorted(kept))
        found = [contexts[decision.frozen] for decision in decisions]
        return collate_after(decisions, found, device, apart=self.apart)

    def for_base(self) -> After:
        """After the same contexts, with all tokens in one row: through nobody's adapter."""
        other = copy(self)
        other.apart = False
        return other

    def close(self) -> None:
        """Write to disk what is kept for later nights."""
        if self.store:
            self.store.close()


def header(decisions: Sequence[Decision]) -> list[int]:
    """The tokens with which every reply of `decisions` begins its turn.

    Raises:
        TrainingError: there are none, or they differ, so that no adapter could know where to begin.
    """
    found = {decision.context[len(decision.context) - decision.header :] for decision in decisions}
    if len(found) != 1 or not (tokens := next(iter(found))):
        raise TrainingError(
            f"The replies begin with {len(found)} kinds of headers.", "Set learn.context to trained or detached."
        )
    return list(tokens)
