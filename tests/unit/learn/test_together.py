"""Nights of several personas in one pass: each comes out as alone, and none touches another."""

from dataclasses import replace

import pytest
import torch

from slowwave.errors import AdapterMismatch, SettingsError, TrainingError
from slowwave.learn import adapter, loss, together
from slowwave.learn.context import encode_all
from slowwave.learn.freezing import After
from slowwave.learn.loss import losses
from slowwave.learn.settings import preset
from slowwave.learn.stack import seating
from slowwave.learn.starts import Starts
from slowwave.learn.together import Night, train_together
from slowwave.learn.train import train
from slowwave.learn.weights import Weights
from tests.unit.learn.test_freezing import headed
from tests.unit.learn.tiny import answer, llama, settings, tensors, untouched

FROZEN = {"context": "frozen", "micro_tokens": 60}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A version that one persona goes on from."""
    folder = tmp_path_factory.mktemp("served")
    first = train(llama(), headed(6, 20), [], settings(**FROZEN, lr=0.02), seed=9)
    first.weights.save(folder)
    return folder


@pytest.fixture
def nights(served):
    """Of other lengths and kinds; the second and the third have decisions in common."""
    shared = headed(8, 1)
    return [
        Night(
            [replace(one, weight=0.3 + 0.1 * i) for i, one in enumerate(headed(5, 3))], headed(7, 4, lesson=False), 5
        ),
        Night(shared, headed(10, 2, lesson=False), 6, watch=headed(4, 9, lesson=False)),
        Night(shared[:3], headed(10, 2, lesson=False) + headed(4, 7, lesson=False, from_start=True), 7, served),
        Night(headed(2, 8), (), 8),
    ]


def alone(night, wished):
    return train(llama(), night.lessons, night.anchors, wished, seed=night.seed, start=night.start, watch=night.watch)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nights_begin_where_they_would_alone(served, dtype):
    wished, model = settings(**FROZEN), llama(dtype)
    before, opened = tensors(model), Starts(model, wished)
    for start, seed in ((None, 5), (served, 6), (None, 7), (served, 8)):
        found, _ = opened.open(start, seed)
        wanted = Weights(llama(dtype), wished, start, seed).start
        assert found.keys() == wanted.keys() and all(torch.equal(found[key], value) for key, value in wanted.items())
    assert untouched(model, before)


def test_a_start_that_does_not_fit_the_model_is_refused(served):
    opened = Starts(llama(width=64), settings(**FROZEN))
    opened.open(None, 1)
    with pytest.raises(AdapterMismatch):
        opened.open(served, 2)


@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_each_night_comes_out_as_alone(nights, ema):
    wished, model = settings(**FROZEN, ema=ema, drift_every=2), llama()
    before, words = tensors(model), answer(model)
    together = train_together(model, nights, wished)
    assert untouched(model, before) and torch.equal(answer(model), words)
    for night, found in zip(nights, together, strict=True):
        wanted = alone(night, wished)
        assert found.steps == wanted.steps and found.skipped == 0 and found.stopped == "finished"
        start = wanted.weights.start
        for key, value in wanted.weights.trainable.items():
            moved = float((value - start[key]).norm())
            assert moved > 0 and float((found.values[key] - value).norm()) < 2e-3 * moved, key
        for mine, theirs in zip(found.metrics, wanted.metrics, strict=True):
            assert mine["cross_entropy"] == pytest.approx(theirs["cross_entropy"], rel=1e-3)
            assert mine.get("drift", -1) == pytest.approx(theirs.get("drift", -1), abs=1e-4)
            assert mine["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-2)
    assert "kl_rehearsed" in together[2].metrics[0] and "kl_rehearsed" not in together[1].metrics[0]


def test_a_long_context_is_encoded_once_for_all_personas(nights, monkeypatch):
    wished, encoded = settings(**FROZEN), []
    wanted = train_together(llama(), nights, wished)
    monkeypatch.setattr("slowwave.learn.freezing.SHORT", 5)
    monkeypatch.setattr(
        "slowwave.learn.store.encode_all", lambda model, some: encoded.extend(some) or encode_all(model, some)
    )
    found = train_together(llama(), nights, wished)
    trained = {one.frozen for night in nights for one in night.lessons if len(one.frozen) > 5}
    assert trained <= set(encoded) and len(encoded) == len(set(encoded))
    for one, right in zip(found, wanted, strict=True):
        for key, value in one.values.items():
            torch.testing.assert_close(value, right.values[key], rtol=0, atol=1e-4)


def test_what_was_learned_is_walked_back_saved_and_served(nights, tmp_path):
    model, wished = llama(), settings(**FROZEN, lr=0.02)
    learned = train_together(model, nights, wished)
    ids = torch.tensor([[*nights[2].lessons[0].context, *nights[2].lessons[0].reply]])
    answers = []
    for name, found in zip("abcd", learned, strict=True):
        weights = found.weights(model)
        weights.at(0.5)
        weights.save(tmp_path / name)
        weights.release()
        assert adapter.load(model, name, tmp_path / name).alora_invocation_tokens == found.header
    for name in "abcd":
        adapter.activate(model, name)
        with torch.no_grad():
            answers.append(model(ids).logits[0])
    assert all(not torch.allclose(one, other, atol=1e-3) for i, one in enumerate(answers) for other in answers[:i])


def test_one_that_goes_wrong_stops_and_the_others_go_on(nights, monkeypatch):
    honest = loss.prepare

    def prepare(part, device, pack):
        work = honest(part, device, pack)
        wrong_B = torch.tensor([float("nan") if decision.persona == 0 else 1.0 for decision, _ in part])
        return replace(work, share_N=work.share_N * wrong_B[work.owner_N])

    monkeypatch.setattr(loss, "prepare", prepare)
    wished = settings(**FROZEN, max_skipped=2)
    found = train_together(llama(), nights, wished)
    assert found[0].skipped == 3 and found[0].steps == 3 and "non-finite" in found[0].stopped
    monkeypatch.undo()
    wanted = alone(nights[1], wished)
    for key, value in wanted.weights.trainable.items():
        assert float((found[1].values[key] - value).norm()) < 2e-3 * float((value - wanted.weights.start[key]).norm())
    assert all(bool(value.isfinite().all()) for one in found for value in one.values.values())


def test_one_that_drifts_too_far_stops_and_the_others_go_on(nights):
    wished = settings(**FROZEN, lr=0.02, drift_every=2, drift_bound=0.001)
    found, wanted = train_together(llama(), nights, wished), alone(nights[1], wished)
    assert found[1].stopped == wanted.stopped and "passed its bound" in wanted.stopped
    assert found[1].steps == wanted.steps == 2 and found[3].steps == 2
    assert found[0].stopped == "finished" and found[0].steps == 5
    slow = alone(nights[0], wished).weights.slow  # whose steps were packed beside those of one that has stopped since
    assert all(torch.allclose(found[0].values[key], value, rtol=1e-4, atol=1e-6) for key, value in slow.items())


def test_a_step_is_packed_before_the_last_one_s_losses_are_read(nights, monkeypatch):
    happened, pack, launch = [], After.__call__, together.launched

    def launched(*args):
        read = launch(*args)
        happened.append("launched")
        return lambda: happened.append("read") or read()

    monkeypatch.setattr(together, "launched", launched)
    monkeypatch.setattr(After, "__call__", lambda *args: happened.append("packed") or pack(*args))
    train_together(llama(), nights[3:], settings(**FROZEN))
    assert happened == ["packed", *["launched", "packed", "read"], "launched", "read"]


def test_time_that_is_over_ends_all(nights):
    found = train_together(llama(), nights, settings(**FROZEN), deadline=0.0)
    assert {one.stopped for one in found} == {"out of time"} and {one.steps for one in found} == {0}


def test_steps_are_told(nights):
    told = []
    train_together(llama(), nights[:2], settings(**FROZEN), on_step=lambda step, of: told.append((step, of)))
    assert told == [(step + 1, 8) for step in range(8)]


def test_each_persona_has_a_row_of_its_own(nights):
    mine = [replace(one, persona=persona) for persona in (3, 0) for one in nights[persona].lessons[:2]]
    model = llama()
    batch = After(model, frozen=True, apart=True)(mine[::-1], torch.device("cpu"))
    rows = batch.ids_1T[0].unflatten(0, (2, -1)).tolist()
    assert batch.seats.personas_Q.tolist() == [0, 3]
    for row, persona in zip(rows, (0, 3), strict=True):
        own = [token for one in mine if one.persona == persona for token in (*one.context[-one.header :], *one.reply)]
        assert sorted(row) == sorted(own + [0] * (len(row) - len(own)))
    wanted = losses(model, [(one, None) for one in mine[::-1]], torch.device("cpu"), After(model, frozen=True))
    found = losses(
        model, [(one, None) for one in mine[::-1]], torch.device("cpu"), After(model, frozen=True, apart=True)
    )
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("sizes", "shape"), [([540] * 17, (18, 576)), ([540] * 64, (64, 544)), ([1], (1, 128)), ([100, 4000], (2, 4096))]
)
def test_rows_on_a_gpu_are_whole_blocks_and_hardly_longer(sizes, shape):
    assert seating(sizes, torch.device("cuda")) == shape


@pytest.mark.parametrize(
    "changes", [{"context": "trained"}, {"optimizer": "apollo"}, {"dropout": 0.1}, {"release_gradients": True}]
)
def test_settings_under_which_they_would_touch_are_refused(nights, changes):
    with pytest.raises(SettingsError, match="together"):
        train_together(llama(), nights, preset("adapter", **{**FROZEN, **changes}))


def test_what_cannot_be_stacked_is_refused(nights, served):
    model = llama()
    before = tensors(model)
    with pytest.raises(TrainingError, match="differ in shape"):
        train_together(model, nights, settings(**FROZEN, rank=2))
    with pytest.raises(TrainingError, match="nothing to train"):
        train_together(model, [*nights, Night([])], settings(**FROZEN))
    plain = [replace(one, context=(*one.context[:-2], 99), header=1) for one in nights[2].lessons]
    with pytest.raises(TrainingError, match="another header"):
        train_together(model, [Night(plain, start=served)], settings(**FROZEN))
    assert untouched(model, before)
