"""How decisions of a night are packed: in one pass with their contexts, or after contexts that carry no gradient."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch

from slowwave.errors import TrainingError
from slowwave.learn import adapter
from slowwave.learn.context import SHORT, encode_all
from slowwave.learn.decision import AfterContexts, Batch, Collate, Decision, collate, collate_after
from slowwave.learn.store import Budget, ContextStore

_BYTES = 2 << 30  # of long contexts that a night keeps on a CPU


def packer(model: Any, *, frozen: bool, detached: bool, plain: Collate = collate) -> Collate:
    """The way in which decisions are packed for `model`.

    Args:
        frozen: the base reads the contexts, whatever is in training: exact for an adapter that acts from the header on.
        detached: the model as it stands reads them, without gradient: the gradient leaves out what changes there.
        plain: how they are packed in one pass with their contexts.
    """
    return _After(model, frozen) if frozen or detached else plain


class _After(AfterContexts):
    def __init__(self, model: Any, frozen: bool) -> None:
        self.model, self.frozen = model, frozen
        # the long contexts do not change in a night; on a CPU both tiers of memory are one, beside the model
        budget = Budget(device=_BYTES, host=0) if model.device.type == "cpu" else Budget()
        self.store = ContextStore(model, "of this night", "its own", budget=budget) if frozen else None

    def __call__(self, decisions: Sequence[Decision], device: torch.device) -> Batch:
        wanted = {decision.frozen for decision in decisions}
        kept = {tokens for tokens in wanted if self.store and len(tokens) > SHORT}
        with adapter.silent(self.model) if self.frozen else nullcontext():
            contexts = encode_all(self.model, [one.frozen for one in decisions if one.frozen not in kept])
        if self.store:
            contexts |= self.store.get_all(sorted(kept))
        return collate_after(decisions, [contexts[decision.frozen] for decision in decisions], device)


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
