"""The steps of many personas, each packed while a GPU still computes the one before.

What a step reads after frozen contexts does not depend on what is being trained, so only its plan must be known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import torch

from slowwave.learn.decision import Collate
from slowwave.learn.loss import Prepared, Terms, prepared


class Ahead:
    """By persona, the terms of each step.

    Args:
        plans: each persona's steps.
        pack: after frozen contexts, each persona's tokens in a row of its own.
    """

    def __init__(self, plans: Sequence[Iterator[Terms]], pack: Collate, micro_tokens: int, device: torch.device):
        self.plans, self.pack, self.micro_tokens, self.device = plans, pack, micro_tokens, device
        self._next: tuple[dict[int, Terms], Iterator[Prepared]] | None = None

    def look(self, personas: Sequence[int]) -> None:
        """Draw the next step of these, and pack its first micro-batch."""
        terms = {p: _of(p, next(self.plans[p])) for p in personas}
        works = self.packed(terms)
        self._next = terms, chain([next(works)], works)

    def step(self, personas: Sequence[int]) -> tuple[dict[int, Terms], Iterator[Prepared]]:
        """The next step of these personas: its terms, and its micro-batches."""
        if self._next is None:
            self.look(personas)
        assert self._next is not None
        (terms, works), self._next = self._next, None
        if list(terms) == list(personas):
            return terms, works
        left = {p: terms[p] for p in personas}  # one of them has ended since
        return left, self.packed(left)

    def packed(self, terms: Mapping[int, Terms]) -> Iterator[Prepared]:
        """A step's micro-batches."""
        return prepared(merged(terms), self.micro_tokens, self.device, self.pack)


def merged(terms: Mapping[int, Terms]) -> Terms:
    """The terms of all personas, each by its persona and its name."""
    return {f"{p} {name}": term for p, mine in terms.items() for name, term in mine.items()}


def _of(persona: int, terms: Terms) -> Terms:
    """The terms with every decision marked as this persona's."""
    return {
        name: (weight, [(replace(decision, persona=persona), target) for decision, target in pairs])
        for name, (weight, pairs) in terms.items()
    }
