"""A night whose contexts carry no gradient: the same weights as one pass with activated LoRA, and what is refused."""

from copy import copy
from dataclasses import replace

import pytest
import torch

from slowwave.errors import SettingsError, TrainingError
from slowwave.learn import adapter
from slowwave.learn.context import encode, encode_all
from slowwave.learn.decision import collate
from slowwave.learn.freezing import Disk, packer
from slowwave.learn.loss import losses
from slowwave.learn.settings import preset
from slowwave.learn.train import train
from slowwave.learn.weights import Weights
from tests.unit.learn.tiny import answer, decisions, equal, llama, settings, tensors, untouched
from tests.unit.learn.twin import twin

HEADER = (101, 102)
CPU = torch.device("cpu")


def headed(count, seed, **fields):
    return [
        replace(one, context=(*one.context, *HEADER), header=len(HEADER)) for one in decisions(count, seed, **fields)
    ]


LESSONS = headed(8, 1)
ANCHORS = headed(10, 2, lesson=False) + headed(5, 7, lesson=False, from_start=True)
WATCH = headed(4, 9, lesson=False)


def activated(weights):
    """The weights of an adapter in training, in a model of their own where it acts from the header on."""
    model, config = llama(), copy(weights.config)
    config.alora_invocation_tokens = list(HEADER)
    adapter.inject(model, config, "night")
    adapter.activate(model, "night")
    own = adapter.parameters(model, "night")
    for key, value in own.items():
        value.data = weights.trainable[key].detach().clone()
    return model, own


@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_a_frozen_night_equals_its_twin_in_one_pass(ema):
    wished = settings("adapter", context="frozen", ema=ema, micro_tokens=40)
    fast = train(llama(), LESSONS, ANCHORS, wished, seed=3)
    model, own = activated(Weights(llama(), wished, None, seed=3))
    start = {key: value.detach().clone() for key, value in own.items()}
    slow = twin(model, own, LESSONS, ANCHORS, wished, seed=3)
    wanted = slow if ema else own
    for key, value in fast.weights.trainable.items():
        moved = float((wanted[key].detach() - start[key]).norm())
        assert moved > 0 and float((value - wanted[key].detach()).norm()) < 1e-3 * moved, key


def test_a_second_frozen_night_goes_on_from_what_is_served(tmp_path):
    """Where the version acts is its own, whatever the settings say now; its file says so too."""
    first = train(llama(), LESSONS, ANCHORS, settings("adapter", context="frozen", lr=0.01), watch=WATCH)
    first.weights.save(tmp_path / "v1")
    first.weights.release()
    model = llama()
    before = tensors(model)
    served = llama()
    assert adapter.load(served, "v1", tmp_path / "v1").alora_invocation_tokens == list(HEADER)
    for mode in ("trained", "frozen"):
        still = settings("adapter", context=mode, lr=1e-8, ema=0, anchor_batch=5, rehearsal_batch=5)
        night = train(model, LESSONS, ANCHORS, still, start=tmp_path / "v1", watch=WATCH)
        assert abs(night.metrics[0]["kl_rehearsed"]) < 1e-4 and night.metrics[0]["kl"] > 1e-3
        adapter.activate(served, "v1")
        ids = torch.tensor([[*LESSONS[0].context, *LESSONS[0].reply]])
        with torch.no_grad():
            wanted = served(ids).logits[0, len(LESSONS[0].context) - 1 : -1]
            found = losses(model, [(LESSONS[0], None)], CPU, packer(model, frozen=True, detached=False))
        nats = torch.nn.functional.cross_entropy(wanted, torch.tensor(LESSONS[0].reply))
        assert float(found) == pytest.approx(float(nats), rel=1e-3)
        night.weights.save(tmp_path / mode)
        night.weights.release()
        assert adapter.load(llama(), "v2", tmp_path / mode).alora_invocation_tokens == list(HEADER)
    assert untouched(model, before)


def test_a_long_context_is_encoded_once_a_night(monkeypatch):
    """By the base, whatever is in training; the night comes out as with contexts that are encoded for every batch."""
    wished, encoded = settings("adapter", context="frozen", micro_tokens=40, epochs=6), []
    wanted = train(llama(), LESSONS, ANCHORS, wished, seed=3).weights.trainable
    monkeypatch.setattr("slowwave.learn.freezing.SHORT", 5)
    monkeypatch.setattr(
        "slowwave.learn.store.encode_all", lambda model, wanted: encoded.extend(wanted) or encode_all(model, wanted)
    )
    found = train(llama(), LESSONS, ANCHORS, wished, seed=3).weights.trainable
    long = {one.frozen for one in [*LESSONS, *(a for a in ANCHORS if a.from_start)] if len(one.frozen) > 5}
    assert long <= set(encoded) and len(encoded) == len(set(encoded)) < len({one.frozen for one in LESSONS + ANCHORS})
    for key, value in found.items():
        torch.testing.assert_close(value, wanted[key], rtol=0, atol=1e-5)


def test_long_contexts_on_disk_serve_the_next_night(monkeypatch, tmp_path):
    wished, encoded = settings("adapter", context="frozen", micro_tokens=40), []
    monkeypatch.setattr("slowwave.learn.freezing.SHORT", 5)
    monkeypatch.setattr(
        "slowwave.learn.store.encode_all", lambda model, wanted: encoded.extend(wanted) or encode_all(model, wanted)
    )
    disk = Disk(tmp_path / "contexts", "base", "template", 1 << 20)
    first = train(llama(), LESSONS, ANCHORS, wished, seed=3, disk=disk).weights.trainable
    assert encoded and len(list(disk.folder.glob("*.safetensors"))) == len(encoded)
    encoded.clear()
    second = train(llama(), LESSONS, ANCHORS, wished, seed=3, disk=disk).weights.trainable
    assert not encoded and equal(first, second)
    train(llama(), LESSONS, ANCHORS, wished, seed=3, disk=replace(disk, base="other"))
    assert encoded, "another base reads for itself"


def test_weights_are_given_back_where_contexts_cannot_be_written(monkeypatch, tmp_path):
    model, before = llama(), tensors(llama())
    monkeypatch.setattr("slowwave.learn.store.ContextStore.close", lambda self: (tmp_path / "gone").read_bytes())
    with pytest.raises(FileNotFoundError):
        train(model, LESSONS, (), settings("adapter", context="frozen"), disk=Disk(tmp_path / "c", "b", "t", 1))
    assert untouched(model, before)


def test_on_two_cores_long_contexts_take_no_more_memory_than_they_may(monkeypatch):
    seen = []
    monkeypatch.setattr("slowwave.learn.freezing.SHORT", 1)
    monkeypatch.setattr("slowwave.learn.freezing._BYTES", 0)
    monkeypatch.setattr(
        "slowwave.learn.store.encode_all", lambda model, wanted: seen.extend(wanted) or encode_all(model, wanted)
    )
    pack = packer(llama(), frozen=True, detached=False)
    for _ in range(2):
        pack(LESSONS, CPU)
    assert len(seen) > len({one.frozen for one in LESSONS}), "what has no room is encoded again"


def test_frozen_contexts_are_the_bases_after_every_step():
    model = llama()
    before, kept = encode(model, LESSONS[0].frozen), []
    pack = packer(model, frozen=True, detached=False)

    def look(*_):
        kept.append(pack(LESSONS[:1], CPU).packing.before)

    train(model, LESSONS, [], settings("adapter", context="frozen", lr=0.05), on_step=look)
    assert len(kept) == 8
    for layers in kept:
        for (keys, values), (own_keys, own_values) in zip(layers, before.layers, strict=True):
            torch.testing.assert_close(keys, own_keys, atol=1e-6, rtol=0)
            torch.testing.assert_close(values, own_values, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["adapter", "full"])
def test_detached_contexts_are_read_as_ever_and_give_no_gradient(name):
    """The same loss as with gradient, after the weights have moved, and another gradient in the same direction."""
    found = {}
    for mode in ("trained", "detached"):
        weights = Weights(llama(), settings(name, context=mode), None, seed=0)
        generator = torch.Generator().manual_seed(5)
        for value in weights.trainable.values():
            value.data += 0.05 * torch.randn(value.shape, generator=generator)
            value.requires_grad_(True)
        loss = losses(
            weights.model, [(one, None) for one in LESSONS], CPU,
            packer(weights.model, frozen=False, detached=mode == "detached"),
        ).mean()  # fmt: skip
        loss.backward()
        found[mode] = float(loss.detach()), torch.cat([v.grad.flatten() for v in weights.trainable.values()])
    (loss, grad), (again, other) = found["trained"], found["detached"]
    assert again == pytest.approx(loss, rel=1e-5)
    cosine = float(torch.cosine_similarity(grad, other, dim=0))
    assert 0.5 < cosine < 0.999


@pytest.mark.parametrize(("name", "mode"), [("adapter", "detached"), ("full", "detached"), ("gentle", "frozen")])
def test_a_night_learns_and_gives_the_base_back(name, mode):
    model = llama()
    before, words = tensors(model), answer(model)
    night = train(model, LESSONS, ANCHORS, settings(name, context=mode, lr=0.03, kl_weight=0.1), watch=WATCH)
    assert night.metrics[-1]["cross_entropy"] < 0.95 * night.metrics[0]["cross_entropy"]
    night.weights.release()
    assert untouched(model, before) and torch.equal(answer(model), words)


def test_trained_is_the_pass_with_the_context():
    assert packer(llama(), frozen=False, detached=False) is collate


@pytest.mark.parametrize("prompt", [(), tuple(range(40, 60))])
def test_short_contexts_together_are_as_each_alone(monkeypatch, prompt):
    model = llama(torch.float64)
    wanted = [(*prompt, *one.frozen) for one in LESSONS] + [(), (*prompt, *LESSONS[0].frozen)]
    together = encode_all(model, wanted)
    monkeypatch.setattr("slowwave.learn.context.SHORT", 0)
    alone = encode_all(model, wanted)
    assert together.keys() == alone.keys() == set(wanted)
    for tokens, context in together.items():
        assert context.tokens == tokens
        for pair, own in zip(context.layers, alone[tokens].layers, strict=True):
            torch.testing.assert_close(pair, own, atol=1e-12, rtol=1e-10)


def test_replies_without_one_header_are_refused():
    model = llama()
    before = tensors(model)
    mixed = [*LESSONS, replace(LESSONS[0], context=(4, 4, 9), header=1)]
    with pytest.raises(TrainingError, match="2 kinds of headers"):
        train(model, mixed, [], settings("adapter", context="frozen"))
    assert untouched(model, before)


def test_what_cannot_be_exact_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"learn\.context"):
        preset("adapter", context="frosty")
    with pytest.raises(SettingsError, match="All parameters are trained"):
        preset("full", context="frozen")
    first = train(llama(), LESSONS, [], settings("adapter", context="frozen"))
    first.weights.save(tmp_path)
    model = llama()
    before = tensors(model)
    with pytest.raises(TrainingError, match="acts from a reply's header on"):
        train(model, LESSONS, [], settings("full"), start=tmp_path)
    assert untouched(model, before)


def test_a_frozen_night_is_the_same_twice():
    once, again = (train(llama(), LESSONS, ANCHORS, settings("adapter", context="frozen"), seed=2) for _ in range(2))
    assert equal(dict(once.weights.trainable), dict(again.weights.trainable))
