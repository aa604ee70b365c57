"""An activated adapter acts from the last header on: as PEFT's own aLoRA, however the model is asked."""

import pytest
import torch
from peft import LoraConfig, PeftModel

from slowwave.learn import adapter
from slowwave.learn import cache as kv
from slowwave.learn.settings import preset
from slowwave.learn.weights import lora_config
from tests.unit.learn.tiny import llama

HEADER = (101, 102)


def saved(folder, header=HEADER, seed=1, **changes):
    """The folder of an activated adapter that changes something."""
    model = llama()
    config = lora_config(preset("adapter", rank=4, **changes), model)
    adapter.inject(model, config, "made")
    generator = torch.Generator().manual_seed(seed)
    for value in adapter.parameters(model, "made").values():
        value.data = (torch.randn(value.shape, generator=generator) * 0.2).bfloat16().float()
    config.alora_invocation_tokens = list(header)
    adapter.save(model, "made", config, folder)
    return folder


@pytest.fixture
def ours(tmp_path):
    model = llama()
    adapter.load(model, "one", saved(tmp_path / "one"))
    adapter.activate(model, "one")
    return model


ROWS = [[5, 6, 7, *HEADER, 9, 8], [*HEADER, 4], [3, 4, 5, 6], [7, *HEADER, 9, 9, *HEADER, 2, 2, 2]]


def padded(rows, left):
    width = max(map(len, rows))
    fill = lambda row, what: what * (width - len(row))  # noqa: E731
    ids = [[*fill(row, [0]), *row] if left else [*row, *fill(row, [0])] for row in rows]
    mask = [[*fill(row, [0]), *[1] * len(row)] if left else [*[1] * len(row), *fill(row, [0])] for row in rows]
    return torch.tensor(ids), torch.tensor(mask)


@torch.no_grad()
def logits(model, ids, mask, **rest):
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    return model(input_ids=ids, attention_mask=mask, position_ids=places, **rest).logits


@pytest.mark.parametrize("left", [True, False])
def test_it_acts_where_pefts_own_does(ours, tmp_path, left):
    theirs = PeftModel.from_pretrained(llama(), str(tmp_path / "one")).eval()
    ids, mask = padded(ROWS, left)
    found, wanted = logits(ours, ids, mask), logits(theirs, ids, mask)
    real = mask.bool()
    torch.testing.assert_close(found[real], wanted[real], atol=1e-5, rtol=1e-5)
    base = logits(llama(), ids, mask)
    first = 0 if not left else ids.shape[1] - len(ROWS[2])
    assert torch.equal(found[2, first : first + 4], base[2, first : first + 4]), "no header: the base answers"
    assert not torch.allclose(found[0], base[0], atol=1e-2)


def test_token_by_token_it_acts_as_in_one_pass(ours):
    ids, mask = padded([row[:-1] for row in ROWS], left=True)
    following = torch.tensor([[11, 12]] * len(ROWS))
    whole_ids, whole_mask = torch.cat([ids, following], 1), torch.cat([mask, torch.ones_like(following)], 1)
    wanted = logits(ours, whole_ids, whole_mask)[:, -2:]
    cache = kv.passed(ours, kv.empty(ours))
    found, places = [], (whole_mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        ours(input_ids=ids, attention_mask=mask, position_ids=places[:, :-2], **cache)
        for step in (0, 1):
            seen = slice(0, ids.shape[1] + step + 1)
            out = ours(
                input_ids=following[:, step, None], attention_mask=whole_mask[:, seen],
                position_ids=places[:, seen][:, -1:], **cache,
            )  # fmt: skip
            found.append(out.logits[:, -1])
    torch.testing.assert_close(torch.stack(found, 1), wanted, atol=1e-5, rtol=1e-5)


def test_what_comes_before_is_read_as_by_the_base_to_the_last_bit(ours):
    ids = torch.tensor([[*range(3, 40)]])
    keys = []
    for model in (ours, llama()):
        cache = kv.empty(model)
        with torch.no_grad():
            model.model(input_ids=ids, **kv.passed(model.model, cache))
        keys.append([tensor for layer in cache.layers for tensor in (layer.keys, layer.values)])
    assert all(torch.equal(one, two) for one, two in zip(*keys, strict=True))


def test_one_token_of_a_new_text_is_not_the_last_ones_next(ours):
    ids, mask = padded(ROWS[:1], left=True)
    logits(ours, ids, mask)
    one = torch.tensor([[5]])
    assert torch.equal(logits(ours, one, torch.ones_like(one)), logits(llama(), one, torch.ones_like(one)))


def test_activated_and_plain_adapters_live_in_one_model(ours, tmp_path):
    """Each has its own header and layers; a plain one acts everywhere."""
    other = saved(tmp_path / "two", header=(9, 9), seed=2, targets=("o_proj",))
    adapter.load(ours, "two", other)
    adapter.load(ours, "plain", other, everywhere=True)
    ids, mask = padded(ROWS, left=True)
    for name, folder in (("one", tmp_path / "one"), ("two", other)):
        adapter.activate(ours, name)
        wanted = logits(PeftModel.from_pretrained(llama(), str(folder)).eval(), ids, mask)
        torch.testing.assert_close(logits(ours, ids, mask)[mask.bool()], wanted[mask.bool()], atol=1e-5, rtol=1e-5)
    adapter.activate(ours, "plain")
    assert not torch.allclose(logits(ours, ids, mask)[2], logits(llama(), ids, mask)[2], atol=1e-3)
    adapter.activate(ours, None)
    assert torch.equal(logits(ours, ids, mask), logits(llama(), ids, mask))
    adapter.remove(ours, "one")
    adapter.activate(ours, "two")
    assert torch.equal(logits(ours, ids, mask)[2], logits(llama(), ids, mask)[2])


def test_the_file_is_pefts(tmp_path):
    config = LoraConfig.from_pretrained(str(saved(tmp_path / "one")))
    assert config.alora_invocation_tokens == list(HEADER)
