"""The second copy of a tied embedding is recognised by its values, and only then dropped."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from slowwave.models.convert import _tie


def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, tie_word_embeddings=False, **sizes))


def test_a_copy_that_was_quantised_apart_is_tied() -> None:
    untied = model()
    embedding = untied.get_input_embeddings().weight
    untied.lm_head.weight.data = embedding.data + 0.05 * embedding.std() * torch.randn_like(embedding)
    _tie(untied)
    assert untied.lm_head.weight is untied.get_input_embeddings().weight
    assert untied.config.tie_word_embeddings


def test_a_head_of_its_own_stays() -> None:
    untied = model()
    head = untied.lm_head.weight.clone()
    _tie(untied)
    assert torch.equal(untied.lm_head.weight, head)
    assert not untied.config.tie_word_embeddings
