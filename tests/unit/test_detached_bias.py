"""The gradient that detached contexts leave, against the exact one, on a tiny model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from slowwave.learn.decision import collate
from slowwave.learn.freezing import After
from slowwave.learn.train import train
from tests.unit.learn.tiny import decisions, llama, settings


def test_nothing_is_left_out_where_nothing_comes_before(bench: Any) -> None:
    """A context of a header alone is all trained; of others the changes are left out."""
    taken, model, some = bench("detached_bias").gradient, llama(), decisions(5, 3)
    weights = train(model, some, [], settings(lr=0.01, kl_weight=0.0)).weights
    own = list(weights.trainable.values())
    headers = [replace(one, header=len(one.context)) for one in some]
    for given, equal in ((headers, True), (some, False)):
        exact, found = (taken(model, own, given, pack) for pack in (collate, After(model, frozen=False)))
        assert float(exact.norm()) > 0 and torch.allclose(exact, found, atol=1e-5) == equal
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in own)
    weights.release()
