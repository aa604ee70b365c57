"""A random two-layer Llama of 128 words that trains in milliseconds, and decisions for it."""

import random

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from slowwave.learn import difference
from slowwave.learn.decision import Decision, reply_hidden
from slowwave.learn.settings import preset

WORDS = 128


def llama(dtype=torch.float32, seed=0, width=32):
    """The model as the engine holds it: in evaluation, nothing trainable. Large weights give it opinions."""
    config = LlamaConfig(
        vocab_size=WORDS, hidden_size=width, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True, initializer_range=0.2,
        dtype=dtype,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).to(dtype).eval()
    return model.requires_grad_(False)


def decisions(count, seed, **fields):
    """Random words; contexts of 2 to 9 tokens, replies of 1 to 5."""
    draw = random.Random(seed)
    words = lambda low, high: tuple(draw.randrange(1, WORDS) for _ in range(draw.randint(low, high)))  # noqa: E731
    return [Decision(words(2, 9), words(1, 5), **fields) for _ in range(count)]


def settings(name="adapter", **changes):
    """A short night: eight steps of four lessons and six anchors, each in one forward."""
    short = {
        "lesson_batch": 4,
        "anchor_batch": 6,
        "micro_tokens": 1000,
        "epochs": 4,
        "warmup": 2,
        "rank": 4,
        "depth": 1,
        "min_steps": 1,
    }
    return preset(name, **{**short, **changes})


LESSONS = decisions(8, seed=1)
ANCHORS = decisions(10, seed=2, lesson=False)


def tensors(model):
    """A copy of the base's tensors by name."""
    return {key: value.detach().clone() for key, value in difference.base_parameters(model).items()}


def equal(left, right):
    """Whether two dictionaries of tensors are the same bit for bit."""
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@torch.no_grad()
def answer(model):
    """Logits [T, V] after some fixed words."""
    return model(torch.arange(1, 13)[None]).logits[0]


def untouched(model, before):
    """Whether the base is as it was, nothing is trainable, and no adapter is left."""
    left = [key for key, value in model.named_parameters() if "lora_" in key or value.requires_grad]
    return not left and not getattr(model, "peft_config", {}) and equal(tensors(model), before) and not model.training


def reply_logits(model, batch):
    """Logits [N, V] of the reply tokens."""
    return model.lm_head(reply_hidden(model, batch))
