"""A step that never holds all gradients: each is applied and freed as the backward pass makes it.

Of all parameters in float32 the gradients are as large as the weights. The step before applies what the step's norm
allows, so the norm comes from a backward pass of its own, which keeps nothing; the price is that second pass, and that
all of a step's decisions go through the model at once (LOMO, Lv et al., 2023, arXiv 2306.09782, section 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from slowwave.learn.loss import Work, weighted


class Released:
    """One step's gradients, never more than a parameter's at once.

    Args:
        parameters: all that `optimizer` moves.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        self.parameters, self.optimizer = parameters, optimizer
        self._total: Tensor | None = None
        self._squares: list[Tensor] = []

    def measure(self, model: nn.Module, work: Work, weight_B: Tensor) -> Tensor:
        """As `loss.micro_step`, but of the gradients nothing stays but their norm."""
        self._total, self._squares = None, []
        loss_B, total = weighted(model, work, weight_B)

        def told(parameter: Tensor) -> None:
            if parameter.grad is not None:
                self._squares.append(torch.linalg.vector_norm(parameter.grad, dtype=torch.float32).square())

        with self._each(told):
            total.backward(retain_graph=True)
        self._total = total
        return loss_B.detach()

    def norm(self) -> float:
        """Of the step that was measured."""
        return math.sqrt(float(torch.stack(self._squares).sum())) if self._squares else 0.0

    def step(self, clip: float) -> None:
        """Move every parameter along its part of a gradient whose norm is `clip` at most."""
        share, total = min(1.0, clip / (self.norm() + 1e-6)), self._total  # as nn.utils.clip_grad_norm_
        self._total = None

        def told(parameter: Tensor) -> None:
            if parameter.grad is not None:
                parameter.grad.mul_(share)
                self.optimizer.step()  # of this one: no other has a gradient

        if total is not None:
            with self._each(told):
                total.backward()

    @contextmanager
    def _each(self, told: Callable[[Tensor], Any]) -> Iterator[None]:
        """Inside the block every gradient is shown to `told` when it is whole, and freed."""

        def made(parameter: Tensor) -> None:
            told(parameter)
            parameter.grad = None

        handles = [one.register_post_accumulate_grad_hook(made) for one in self.parameters]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
