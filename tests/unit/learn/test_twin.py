"""The fast path of training equals its teaching twin."""

from dataclasses import replace

import pytest
import torch

from slowwave.learn.train import train
from slowwave.learn.weights import Weights
from tests.unit.learn.tiny import ANCHORS, LESSONS, decisions, llama, settings
from tests.unit.learn.twin import twin


@pytest.mark.parametrize(("name", "depth"), [("adapter", 0.5), ("adapter", 1), ("full", 1)])
@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_the_fast_path_equals_its_twin(name, depth, ema):
    wished = settings(name, depth=depth, ema=ema, micro_tokens=30)
    lessons = [replace(lesson, weight=0.2 + 0.1 * place) for place, lesson in enumerate(LESSONS)]
    anchors = ANCHORS + decisions(9, seed=7, lesson=False, from_start=True)
    fast = train(llama(), lessons, anchors, wished, seed=3)

    plain = Weights(llama(), wished, None, seed=3)
    start = {key: value.detach().clone() for key, value in plain.trainable.items()}
    slow = twin(plain.model, plain.trainable, lessons, anchors, replace(wished, ema=ema), seed=3)

    expected = slow if ema else plain.trainable
    assert fast.steps == 8
    assert fast.weights.trainable.keys() == expected.keys()
    for key, value in fast.weights.trainable.items():
        assert not torch.equal(value, start[key])
        torch.testing.assert_close(value, expected[key], atol=1e-5, rtol=0)
