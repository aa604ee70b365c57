"""Contexts are encoded once, go down the tiers and come up again to the last bit, and are never another base's."""

import os
from contextlib import closing

import pytest
import torch

from slowwave.errors import TrainingError
from slowwave.learn import adapter
from slowwave.learn.context import encode
from slowwave.learn.settings import preset
from slowwave.learn.store import Budget, ContextStore
from slowwave.learn.weights import Weights, lora_config
from tests.unit.learn.tiny import llama

FIRST, SECOND, THIRD = (tuple(range(start, start + 12)) for start in (1, 30, 60))


@pytest.fixture(scope="module")
def model():
    return llama()


def same(left, right):
    pairs = zip(left.layers, right.layers, strict=True)
    return left.tokens == right.tokens and all(
        torch.equal(a, b) for mine, its in pairs for a, b in zip(mine, its, strict=True)
    )


def size(model):
    return sum(tensor.nbytes for pair in encode(model, FIRST).layers for tensor in pair)


def on_disk(folder):
    return sorted(file.name for file in folder.iterdir())


def test_those_that_no_tier_has_are_encoded_together_and_lie_apart(model):
    store = ContextStore(model, "base", "template")
    first = store.get(FIRST)
    found = store.get_all([FIRST, SECOND, THIRD, SECOND])
    assert found[FIRST] is first and store.encoded == 3 and list(found) == [FIRST, SECOND, THIRD]
    for tokens, context in found.items():
        wanted = encode(model, tokens)
        for pair, right in zip(context.layers, wanted.layers, strict=True):
            for tensor, own in zip(pair, right, strict=True):
                torch.testing.assert_close(tensor, own)
                assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_a_context_is_encoded_once(model):
    store = ContextStore(model, "base", "template")
    first = store.get(FIRST)
    assert same(first, encode(model, FIRST)) and same(store.get(list(FIRST)), first)
    assert store.get(FIRST) is first  # decisions of one context lie after one copy of it
    assert store.encoded == 1
    store.get(SECOND)
    assert store.encoded == 2


def test_what_does_not_fit_goes_down_a_tier_and_comes_up_again(model, tmp_path):
    one = size(model)
    store = ContextStore(model, "base", "template", budget=Budget(device=one, host=one), folder=tmp_path)
    for tokens in (FIRST, SECOND):
        store.get(tokens)
    assert on_disk(tmp_path) == []  # one on the device, one in host memory
    store.get(THIRD)
    assert len(on_disk(tmp_path)) == 1
    for tokens in (FIRST, SECOND, THIRD, FIRST):
        assert same(store.get(tokens), encode(model, tokens))
    assert store.encoded == 3


def test_the_tier_of_longest_ago_goes_first(model):
    one = size(model)
    store = ContextStore(model, "base", "template", budget=Budget(device=2 * one, host=0))
    for tokens in (FIRST, SECOND, FIRST, THIRD, FIRST):  # SECOND was asked for longest ago
        store.get(tokens)
    assert store.encoded == 3
    store.get(SECOND)
    assert store.encoded == 4


def test_the_context_that_was_asked_for_stays_however_large(model):
    store = ContextStore(model, "base", "template", budget=Budget(device=0, host=0))
    assert same(store.get(FIRST), store.get(FIRST)) and store.encoded == 1


def test_the_next_night_finds_what_this_one_encoded(model, tmp_path):
    with closing(ContextStore(model, "base", "template", folder=tmp_path / "contexts")) as store:
        store.get(FIRST), store.get(())
    again = ContextStore(model, "base", "template", folder=tmp_path / "contexts")
    assert same(again.get(FIRST), encode(model, FIRST)) and same(again.get(()), encode(model, ()))
    assert again.encoded == 0
    modes = [file.stat().st_mode & 0o777 for file in [tmp_path / "contexts", *(tmp_path / "contexts").iterdir()]]
    assert modes == [0o700, 0o600, 0o600]  # conversations


@pytest.mark.parametrize("known_by", [("other", "template"), ("base", "other")])
def test_another_base_or_template_has_contexts_of_its_own(model, tmp_path, known_by):
    with closing(ContextStore(model, "base", "template", folder=tmp_path)) as store:
        store.get(FIRST)
    other = ContextStore(model, *known_by, folder=tmp_path)
    other.get(FIRST)
    assert other.encoded == 1


def test_a_file_of_another_base_is_refused_under_any_name(model, tmp_path):
    for base in ("base", "other"):
        with closing(ContextStore(model, base, "template", folder=tmp_path)) as store:
            store.get(FIRST)
    one, two = tmp_path.iterdir()
    os.replace(one, two)
    with pytest.raises(TrainingError, match="another base"):
        [ContextStore(model, base, "template", folder=tmp_path).get(FIRST) for base in ("base", "other")]


def test_a_file_of_other_tokens_is_refused(model, tmp_path):
    with closing(ContextStore(model, "base", "template", folder=tmp_path)) as store:
        store.get(FIRST)
        store.get(SECOND)
    one, two = tmp_path.iterdir()
    os.replace(one, two)
    with pytest.raises(TrainingError, match="other tokens"):
        [ContextStore(model, "base", "template", folder=tmp_path).get(tokens) for tokens in (FIRST, SECOND)]


@pytest.mark.parametrize("left", [0, 20, -100])
def test_a_file_that_was_cut_short_is_encoded_again(model, tmp_path, left):
    with closing(ContextStore(model, "base", "template", folder=tmp_path)) as store:
        store.get(FIRST)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:left])
    with closing(ContextStore(model, "base", "template", folder=tmp_path)) as again:
        assert same(again.get(FIRST), encode(model, FIRST)) and again.encoded == 1
    assert ContextStore(model, "base", "template", folder=tmp_path).get(FIRST) and len(on_disk(tmp_path)) == 1


def test_the_disk_keeps_to_its_budget(model, tmp_path):
    with closing(ContextStore(model, "base", "template", folder=tmp_path)) as store:
        store.get(FIRST)
    (file,) = tmp_path.iterdir()
    left = tmp_path / "killed.1.partial"
    left.write_bytes(bytes(100))
    for old in (file, left):
        os.utime(old, (1, 1))
    budget = Budget(device=0, host=0, disk=2 * file.stat().st_size)
    with closing(ContextStore(model, "base", "template", budget=budget, folder=tmp_path)) as store:
        store.get(SECOND), store.get(THIRD)
    assert len(on_disk(tmp_path)) == 2 and not file.exists() and not left.exists()


def test_a_full_disk_loses_nothing_but_time(model, tmp_path, monkeypatch):
    def full(_, path, **__):
        path.write_bytes(b"some of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("slowwave.learn.shelf.save_file", full)
    with closing(ContextStore(model, "base", "template", budget=Budget(device=0, host=0), folder=tmp_path)) as store:
        store.get(FIRST), store.get(SECOND)
        assert same(store.get(FIRST), encode(model, FIRST)) and store.encoded == 3
    assert on_disk(tmp_path) == []


def test_an_adapter_in_training_is_silent_while_a_context_is_encoded():
    model = llama()
    base = encode(model, FIRST)
    adapter.inject(model, lora_config(preset("adapter", rank=4), model), "night")
    adapter.activate(model, "night")
    own = adapter.parameters(model, "night")
    for parameter in own.values():
        parameter.data.normal_()
        parameter.requires_grad_(True)
    assert same(ContextStore(model, "base", "template").get(FIRST), base)
    assert not same(encode(model, FIRST), base)  # and it speaks again
    assert {name for name, value in model.named_parameters() if value.requires_grad} == set(own)


def test_no_context_is_encoded_by_changed_weights():
    model = llama()
    store = ContextStore(model, "base", "template")
    kept = store.get(FIRST)
    night = Weights(model, preset("full"), None, 0)
    assert store.get(FIRST).tokens == kept.tokens  # what is there stays
    with pytest.raises(TrainingError, match="others now"):
        store.get(SECOND)
    with pytest.raises(TrainingError, match="weights"):
        store.get_all([FIRST, SECOND])
    assert store.get(FIRST) is kept
    night.release()
    assert same(store.get(SECOND), encode(model, SECOND))


def test_a_folder_that_another_process_deleted_costs_an_encoding_and_no_more(model, tmp_path):
    folder = tmp_path / "contexts"
    with closing(ContextStore(model, "base", "template", folder=folder)) as store:
        store.get(FIRST)
        folder.rmdir()
    assert not folder.exists()
    again = ContextStore(model, "base", "template", folder=folder)
    assert same(again.get(FIRST), encode(model, FIRST)) and again.encoded == 1
