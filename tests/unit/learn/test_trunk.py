"""What stays the base's reads each decision once, and everything above comes out as in one pass."""

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from slowwave.errors import SettingsError
from slowwave.learn import adapter, trunk
from slowwave.learn.decision import Decision, collate
from slowwave.learn.layers import below
from slowwave.learn.loss import losses
from slowwave.learn.settings import preset
from slowwave.learn.train import train
from slowwave.learn.trunk import Trunk
from slowwave.learn.weights import Weights, first_trained, lora_config
from tests.unit.learn.tiny import ANCHORS, LESSONS, WORDS, answer, decisions, llama, settings, tensors, untouched

CPU = torch.device("cpu")
WATCH = decisions(4, seed=9, lesson=False)
ALIKE = [Decision((5, 6, 7, *one.context), one.reply) for one in LESSONS]  # as after a system prompt


def qwen():
    """Four layers, of a family that counts its layers while it goes through them."""
    config = Qwen2Config(
        vocab_size=WORDS, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.2, dtype=torch.float64,
    )  # fmt: skip
    torch.manual_seed(0)
    return Qwen2ForCausalLM(config).double().eval().requires_grad_(False)


@pytest.mark.parametrize(("make", "first"), [(qwen, 1), (qwen, 3), (lambda: llama(torch.float64), 1)])
def test_losses_and_gradients_are_those_of_one_pass(make, first):
    found = []
    for collated in (False, True):
        model = make()
        weights = Weights(model, settings(depth=1 - first / len(model.model.layers)), None, seed=1)
        for parameter in weights.trainable.values():
            parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)).double()
            parameter.requires_grad_(True)
        pack = collate if collated else Trunk(model, first).pack
        for chosen in (ALIKE[:5], ALIKE[2:], LESSONS):  # some are known when they come
            loss_B = losses(model, [(one, None) for one in chosen], CPU, pack)
            loss_B.sum().backward()
        found.append((loss_B.detach(), {key: p.grad for key, p in weights.trainable.items()}))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-12)


def test_each_decision_goes_through_the_lower_layers_once():
    model, read = llama(), []
    model.model.layers[0].register_forward_hook(lambda _, args, __: read.append(args[0].shape[1]))
    night = train(model, LESSONS, ANCHORS, settings(epochs=8, depth=0.5), watch=WATCH)
    assert night.steps == 16 and sum(read) == sum(map(len, [*LESSONS, *ANCHORS, *WATCH]))


def test_without_room_they_are_read_again(monkeypatch):
    monkeypatch.setattr(trunk, "_BYTES", 3 * 32 * 4 * 20)
    model, read = llama(), []
    model.model.layers[0].register_forward_hook(lambda _, args, __: read.append(args[0].shape[1]))
    tight = train(model, LESSONS, ANCHORS, settings(depth=0.5))
    monkeypatch.undo()
    assert sum(read) > 2 * sum(map(len, [*LESSONS, *ANCHORS]))
    wanted = train(llama(), LESSONS, ANCHORS, settings(depth=0.5)).weights.trainable
    for key, value in tight.weights.trainable.items():
        torch.testing.assert_close(value, wanted[key], rtol=0, atol=1e-5)


def test_a_model_is_whole_again_after_an_error():
    model = llama()
    before, words = tensors(model), answer(model)
    with pytest.raises(RuntimeError, match="in between"), below(model, 1):
        raise RuntimeError("in between")
    assert untouched(model, before) and torch.equal(answer(model), words)


@pytest.mark.parametrize(("depth", "lowest"), [(1, 0), (0.667, 1), (0.5, 2), (0.01, 3)])
def test_depth_is_the_share_of_layers_from_the_top(depth, lowest):
    model = qwen()
    config = lora_config(preset("adapter", depth=depth), model)
    assert first_trained(config) == lowest
    adapter.inject(model, config, "night")
    assert {int(key.split(".")[2]) for key in adapter.parameters(model, "night")} == set(range(lowest, 4))


@pytest.mark.parametrize(("served", "wished"), [(0.5, 1), (1, 0.5)])
def test_a_later_night_is_as_deep_as_what_is_served(tmp_path, served, wished):
    model = llama()
    first = train(model, LESSONS, ANCHORS, settings(depth=served, lr=0.01))
    first.weights.save(tmp_path)
    first.weights.release()
    later = train(model, LESSONS, ANCHORS, settings(depth=wished, lr=0.01), start=tmp_path)
    assert later.weights.trainable.keys() == first.weights.trainable.keys()
    assert later.metrics[0]["cross_entropy"] < first.metrics[0]["cross_entropy"]


def test_all_parameters_have_no_depth():
    with pytest.raises(SettingsError, match="all layers"):
        preset("full", depth=0.5)
    with pytest.raises(SettingsError, match="depth"):
        preset("adapter", depth=0.0)


def test_noise_is_a_share_of_each_states_size_and_only_there_while_the_model_trains():
    model = llama()
    packs = {noise: Trunk(model, 1, noise).pack for noise in (0.0, 0.5)}
    still = packs[0.0](LESSONS, CPU).read.states_1TD[0]
    torch.testing.assert_close(packs[0.5](LESSONS, CPU).read.states_1TD[0], still, rtol=0, atol=0)
    model.train()
    torch.testing.assert_close(packs[0.0](LESSONS, CPU).read.states_1TD[0], still, rtol=0, atol=0)
    torch.manual_seed(0)
    added = torch.stack([packs[0.5](LESSONS, CPU).read.states_1TD[0] - still for _ in range(50)])
    size_T1 = still.abs().median(dim=1, keepdim=True).values / 0.6745
    assert (added / size_T1).std().item() == pytest.approx(0.5, rel=0.02)
    assert added.mean().abs() < 0.01 and not torch.equal(added[0], added[1])


def test_a_night_with_noise_learns_other_weights_and_draws_the_same_with_the_same_seed():
    runs = [
        {key: one.detach().clone() for key, one in train(llama(), LESSONS, ANCHORS, changed).weights.trainable.items()}
        for changed in (settings(depth=0.5), settings(depth=0.5, noise=0.5), settings(depth=0.5, noise=0.5))
    ]
    assert all(torch.equal(runs[1][key], runs[2][key]) for key in runs[1])
    assert not any(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])


@pytest.mark.parametrize("changes", [{"preset": "full"}, {"depth": 1}, {"context": "frozen"}, {"context": "detached"}])
def test_noise_needs_layers_that_stay_the_bases(changes):
    with pytest.raises(SettingsError, match=r"learn\.noise"):
        settings(noise=0.3, **{"depth": 0.5} | ({"depth": 1} if "preset" in changes else {}) | changes)
    served = settings(noise=0.3, depth=0.9)  # a share of two layers that leaves none
    with pytest.raises(SettingsError, match="no layer below"):
        train(llama(), LESSONS, ANCHORS, served)


@pytest.mark.parametrize("served", [0.5, 1])
def test_a_later_night_has_noise_where_the_served_version_left_layers_to_the_base(tmp_path, served):
    model = llama()
    first = train(model, LESSONS, ANCHORS, settings(depth=served))
    first.weights.save(tmp_path)
    first.weights.release()
    noisy = settings(depth=0.5, noise=0.5)
    if served == 1:
        with pytest.raises(SettingsError, match="no layer below"):
            train(model, LESSONS, ANCHORS, noisy, start=tmp_path)
    else:
        assert train(model, LESSONS, ANCHORS, noisy, start=tmp_path).steps == first.steps
