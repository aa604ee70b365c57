"""A night of decisions over long contexts, from tokens to moved weights: its time, and the operations it needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from slowwave.learn import adapter
from slowwave.learn.captured import Captured
from slowwave.learn.compiled import compiled
from slowwave.learn.context import encode_all
from slowwave.learn.decision import Decision, collate_after
from slowwave.learn.loss import micro_step, prepare

PEAK = 989e12  # bf16 operations a second, dense: an H100 SXM's and an H200's (NVIDIA's data sheets)


@dataclass(frozen=True)
class Sizes:
    """`decisions` of `reply` tokens after each context; so many contexts a step."""

    contexts: int = 64
    length: int = 4096
    decisions: int = 8
    step: int = 4
    reply: int = 127  # with the token that predicts the first, 128


def nights(
    model: Any, adapted: Callable[[], list[nn.Parameter]], sizes: Sizes, device: torch.device, now: Callable[[], float],
    count: int = 3,
) -> list[float]:  # fmt: skip
    """Seconds of each night after one that is not counted: encoding, packing, forward, backward, clipping and AdamW."""
    trainable = adapted()
    optimizer = torch.optim.AdamW(trainable, lr=1e-3, fused=True)
    run = Captured(trainable).step if device.type == "cuda" else micro_step
    seconds = []
    with compiled(model):
        for _ in range(count + 1):
            began = now()
            for decisions in _steps(model.config.vocab_size, sizes):
                with adapter.silent(model):
                    contexts = encode_all(model, [one.frozen for one in decisions])
                own = [contexts[one.frozen] for one in decisions]
                pack = lambda chosen, where, own=own: collate_after(chosen, own, where)  # noqa: E731
                weight_B = torch.full((len(decisions),), 1 / len(decisions), device=device)
                run(model, prepare([(one, None) for one in decisions], device, pack), weight_B)
                if math.isfinite(float(nn.utils.clip_grad_norm_(trainable, 1.0))):  # as in train.py
                    optimizer.step()
                optimizer.zero_grad(set_to_none=False)
            seconds.append(now() - began)
    return seconds[1:]


def _steps(words: int, sizes: Sizes) -> Iterator[list[Decision]]:
    draw = torch.Generator().manual_seed(0)
    of = lambda count: tuple(torch.randint(words, (count,), generator=draw).tolist())  # noqa: E731
    for _ in range(sizes.contexts // sizes.step):
        contexts = [of(sizes.length + 1) for _ in range(sizes.step)]
        yield [Decision(context, of(sizes.reply)) for context in contexts for _ in range(sizes.decisions)]


def operations(config: Any, sizes: Sizes, rank: int = 16) -> float:
    """Multiplications and additions that nothing can spare: each context forward, causally, once; each decision
    forward and backward, where the frozen weights have no gradients and the contexts' keys neither."""
    wide, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    key = wide // heads * config.num_key_value_heads
    shapes = [(wide, wide), (wide, key), (wide, key), (wide, wide), (wide, inner), (wide, inner), (inner, wide)]
    layer, low = sum(a * b for a, b in shapes), rank * sum(a + b for a, b in shapes)
    replies = sizes.contexts * sizes.decisions
    tokens, own = sizes.contexts * sizes.length, replies * (sizes.reply + 1)
    reading = 2 * layer * tokens + 2 * wide * sizes.length * tokens  # 4 * wide for every pair, half of the pairs
    deciding = (4 * layer + 6 * low) * own
    attending = (4 + 4) * wide * sizes.length * own + (4 + 8) * wide * (sizes.reply + 1) / 2 * own
    answering = 4 * wide * config.vocab_size * replies * sizes.reply
    return float(config.num_hidden_layers * (reading + deciding + attending) + answering)
