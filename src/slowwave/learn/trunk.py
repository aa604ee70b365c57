"""The layers below the first that is trained: they read each decision once in a night, and what they made is kept.

Nothing there changes, so every later pass begins above them, forwards and backwards. Anchors are seen several times a
night, and once by their teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from slowwave.learn import cache as kv
from slowwave.learn.decision import Batch, Decision, collate, hidden
from slowwave.learn.layers import Read, below

_BYTES = 2 << 30  # of states that are kept; what comes after is read each time


class Trunk:
    """Packs decisions in one pass with their contexts, with what the layers below `first` made of them."""

    def __init__(self, model: Any, first: int, noise: float = 0.0) -> None:
        """Args:
        noise: Gaussian, on every token's state while the model trains, as a share of the state's own size; so what is
            learned holds for what is said a little otherwise. NEFTune (arXiv 2310.05914) adds it to the embeddings.
        """
        self.model, self.first, self.noise = model, first, noise
        self._kept: dict[tuple[tuple[int, ...], tuple[int, ...]], Tensor] = {}  # of context and reply, [tokens, D]
        self._room = _BYTES

    def pack(self, decisions: Sequence[Decision], device: torch.device) -> Batch:
        """As `decision.collate`."""
        states = self._read(decisions, device)
        shared = kv.shared([decision.context for decision in decisions])
        states_TD = torch.cat([states[0][:shared], *(own[shared:] for own in states)])
        if self.noise and self.model.training:
            states_TD = states_TD + self.noise * _size(states_TD) * torch.randn_like(states_TD)
        return replace(collate(decisions, device), read=Read(self.first, states_TD[None]))

    @torch.no_grad()
    def _read(self, decisions: Sequence[Decision], device: torch.device) -> list[Tensor]:
        keys = [(one.context, one.reply) for one in decisions]
        found = {key: self._kept[key] for key in keys if key in self._kept}
        unread = list({key: one for key, one in zip(keys, decisions, strict=True) if key not in found}.values())
        if unread:
            with below(self.model, self.first):
                states_TD = hidden(self.model, collate(unread, device))[0]
            shared = kv.shared([one.context for one in unread])
            parts = states_TD[shared:].split([len(one) - shared for one in unread])
            for one, part in zip(unread, parts, strict=True):
                whole = found[one.context, one.reply] = torch.cat([states_TD[:shared], part])
                if whole.nbytes <= self._room:
                    self._kept[one.context, one.reply] = whole
                    self._room -= whole.nbytes
        return [found[key] for key in keys]


def _size(states_TD: Tensor) -> Tensor:
    """[T, 1], the standard deviation of each state, were it normal: a few features are a hundred times as large."""
    return states_TD.abs().median(dim=1, keepdim=True).values / 0.6745
