"""Training after a frozen context is activated LoRA, exactly: against PEFT's own, in one pass over everything."""

from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model

from slowwave.errors import TrainingError
from slowwave.learn import adapter
from slowwave.learn.context import _alike, _encode_batch, encode
from slowwave.learn.decision import Decision, collate_after
from slowwave.learn.loss import losses
from slowwave.learn.settings import preset
from slowwave.learn.weights import lora_config
from tests.unit.learn.tiny import decisions, llama, reply_logits

CPU = torch.device("cpu")
HEADER = (101, 102)
LONG = tuple(range(3, 33))


def of(context, reply, **fields):
    return Decision((*context, *HEADER), reply, header=len(HEADER), **fields)


# three decisions of one context, at two places in it; others with contexts of their own; one with none
SET = [of(LONG, (5, 6, 7)), of(LONG, (9,)), of(LONG[:20], (8, 8, 2, 1))]
SET += [of(one.context, one.reply) for one in decisions(3, seed=4)] + [of((), (4, 5))]


def lora(model, dtype=torch.float64):
    """An adapter that changes something, the same each time."""
    adapter.inject(model, lora_config(preset("adapter", rank=4, alpha=16, depth=1), model), "night")
    adapter.activate(model, "night")
    own = adapter.parameters(model, "night")
    generator = torch.Generator().manual_seed(1)
    for parameter in own.values():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=dtype) * 0.2
        parameter.requires_grad_(True)
    return own


def contexts_of(model, items):
    """Each distinct context once; a shorter one that another begins with is that one."""
    adapter.activate(model, None)
    wanted = sorted({item.frozen for item in items}, key=len, reverse=True)
    kept = []
    for tokens in wanted:
        if not any(one.tokens[: len(tokens)] == tokens for one in kept):
            kept.append(encode(model, tokens))
    return [next(one for one in kept if one.tokens[: len(item.frozen)] == item.frozen) for item in items]


def flat(layers):
    return [tensor for pair in layers for tensor in pair]


def frozen_grads(groups, dtype=torch.float64):
    """Logits of the replies and the adapter's gradients, each group of decisions packed into one pass."""
    model = llama(dtype)
    contexts = contexts_of(model, SET)
    own = lora(model, dtype)
    logits = []
    for group in groups:
        batch = collate_after([SET[i] for i in group], [contexts[i] for i in group], CPU)
        found = reply_logits(model, batch)
        torch.nn.functional.cross_entropy(found, batch.targets_N, reduction="sum").backward()
        logits += found.detach().split([len(SET[i].reply) for i in group])
    order = [i for group in groups for i in group]
    return [logits[order.index(i)] for i in range(len(SET))], {key: p.grad for key, p in own.items()}


def alora_grads(dtype=torch.float64):
    """The same from PEFT's aLoRA: one decision at a time, its whole sequence in one pass."""
    model = llama(dtype)
    weights = {key: p.detach() for key, p in lora(llama(dtype), dtype).items()}
    config = LoraConfig(
        r=4, lora_alpha=16, task_type="CAUSAL_LM",
        target_modules=list(lora_config(preset("adapter", depth=1), llama()).target_modules),
        alora_invocation_tokens=list(HEADER),
    )  # fmt: skip
    peft = get_peft_model(model, config, autocast_adapter_dtype=False)
    own = {key: p for key, p in peft.named_parameters() if "lora_" in key}
    for key, parameter in own.items():
        parameter.data = weights[key.removeprefix("base_model.model.").replace("default", "night")].clone()
    logits = []
    for item in SET:
        ids = torch.tensor([[*item.context, *item.reply]])
        found = peft(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, len(item.context) - 1 : -1]
        torch.nn.functional.cross_entropy(found, torch.tensor(item.reply), reduction="sum").backward()
        logits.append(found.detach())
    return logits, {key.removeprefix("base_model.model.").replace("default", "night"): p.grad for key, p in own.items()}


@pytest.mark.parametrize("groups", [[range(len(SET))], [[i] for i in range(len(SET))], [[6, 0, 3], [5, 2, 1, 4]]])
def test_packed_is_separate_is_one_pass_with_alora(groups):
    logits, grads = frozen_grads(groups)
    wanted, expected = alora_grads()
    for found, right in zip(logits, wanted, strict=True):
        torch.testing.assert_close(found, right, atol=1e-9, rtol=1e-7)
    assert grads.keys() == expected.keys()
    for key, grad in grads.items():
        assert float(expected[key].norm()) > 0
        assert float((grad - expected[key]).norm() / expected[key].norm()) < 1e-5, key


def test_an_adapter_leaves_the_keys_of_a_context_as_they_were():
    model = llama()
    before = encode(model, LONG)
    lora(model, torch.float32)
    acted = encode(model, LONG)
    adapter.activate(model, None)
    after = encode(model, LONG)
    kept, again = flat(before.layers), flat(after.layers)
    assert len(kept) == 4 and all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))
    assert not torch.equal(acted.layers[1][0], before.layers[1][0])  # a plain adapter would have changed them


def test_nothing_flows_into_a_context():
    model = llama()
    contexts = contexts_of(model, SET)
    lora(model, torch.float32)
    loss_B = losses(model, [(SET[0], None)], CPU, lambda chosen, device: collate_after(chosen, contexts[:1], device))
    loss_B.sum().backward()
    assert all(not tensor.requires_grad and tensor.grad is None for tensor in flat(contexts[0].layers))


def test_a_single_context_is_not_copied():
    model = llama()
    contexts = contexts_of(model, SET)
    before = collate_after(SET[:3], contexts[:3], CPU).packing.before
    assert all(a is b for a, b in zip(flat(before), flat(contexts[0].layers), strict=True))
    assert contexts[0] is contexts[2] and {tensor.shape for tensor in flat(before)} == {(1, 2, 30, 8)}


def test_a_context_of_another_decision_is_refused():
    contexts = contexts_of(llama(), SET)
    with pytest.raises(TrainingError, match="does not begin"):
        collate_after([SET[0]], [contexts[3]], CPU)
    with pytest.raises(TrainingError, match="does not begin"):
        collate_after([replace(SET[0], context=(*LONG, 77, *HEADER))], [contexts[0]], CPU)


def test_a_context_that_was_not_kept_whole_is_refused(monkeypatch):
    """What gradient checkpointing and sliding windows do: the cache is there, and shorter."""
    model = llama()
    whole = model.model.forward

    def forgets(*args, **kwargs):
        out = whole(*args, **kwargs)
        for layer in (kwargs.get("cache") or kwargs.get("past_key_values")).layers:
            layer.keys = layer.keys[:, :, -16:]
        return out

    monkeypatch.setattr(model.model, "forward", forgets)
    with pytest.raises(TrainingError, match="not kept whole"):
        encode(model, LONG)


def test_a_long_context_is_encoded_in_parts_as_in_one(monkeypatch):
    model = llama(torch.float64)
    whole = encode(model, LONG)
    monkeypatch.setattr("slowwave.learn.context._CHUNK", {"cpu": 7})
    parts = encode(model, LONG)
    for one, two in zip(whole.layers, parts.layers, strict=True):
        torch.testing.assert_close(one, two, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize(
    ("lengths", "groups"),
    [
        ([900, 1000, 1000, 950], [[1000, 1000, 950], [900]]),  # 4 of 1000 are more than 3500 tokens
        ([800, 1000], [[1000], [800]]),  # padding would be a fifth
        ([5000, 600, 590], [[5000], [600, 590]]),
        ([], []),
    ],
)
def test_long_contexts_of_like_length_are_encoded_side_by_side(lengths, groups):
    found = _alike([tuple(range(length)) for length in lengths], 3500)
    assert [[len(one) for one in group] for group in found] == groups


def test_side_by_side_is_alone():
    model = llama(torch.float64)
    wanted = [LONG, LONG[3:20], LONG[1:9]]
    for tokens, found in _encode_batch(model, wanted, 0).items():
        alone = encode(model, tokens)
        for tensor, right in zip(flat(found.layers), flat(alone.layers), strict=True):
            torch.testing.assert_close(tensor, right)
