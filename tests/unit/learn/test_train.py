"""What stops a night's training, what it leaves behind, and what its switches do."""

import time
from dataclasses import replace

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from slowwave.errors import TrainingError
from slowwave.learn import loss, plan, teacher
from slowwave.learn import train as room
from slowwave.learn.train import train
from tests.unit.learn.tiny import ANCHORS, LESSONS, answer, decisions, equal, llama, settings, tensors, untouched

PRESETS = ["gentle", "adapter", "full"]
WATCH = decisions(5, seed=9, lesson=False)


def trained(model, wished, lessons=LESSONS, anchors=ANCHORS, **rest):
    return train(model, lessons, anchors, wished, **rest)


def result(wished, **rest):
    return {key: value.detach().clone() for key, value in trained(llama(), wished, **rest).weights.trainable.items()}


@torch.no_grad()
def unlearned(model):
    """The lessons' cross-entropy, nats a token."""
    return float(loss.losses(model, [(lesson, None) for lesson in LESSONS], torch.device("cpu")).mean())


@pytest.mark.parametrize("name", PRESETS)
def test_lessons_are_learned_and_the_base_comes_back(model, name):
    before, words, surprise = tensors(model), answer(model), unlearned(model)
    night = trained(model, settings(name, lr=0.01, kl_weight=1.0))
    assert night.stopped == "finished" and night.steps == 8 == len(night.metrics) and night.skipped == 0
    assert unlearned(model) < 0.9 * surprise
    assert not torch.equal(answer(model), words)
    night.weights.release()
    assert untouched(model, before) and torch.equal(answer(model), words)


@pytest.mark.parametrize("weight", [0.25, 1.0, 3.0])
def test_each_lesson_counts_by_its_salience(model, weight):
    one, other = (float(loss.losses(model, [(lesson, None)], torch.device("cpu"))) for lesson in LESSONS[:2])
    lessons = [replace(LESSONS[0], weight=weight), LESSONS[1]]
    night = trained(model, settings(lesson_batch=2, lr=1e-8), lessons, anchors=[])
    assert night.metrics[0]["cross_entropy"] == pytest.approx((weight * one + other) / (weight + 1), rel=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_the_same_seed_gives_the_same_weights(name):
    once = result(settings(name), seed=4)
    torch.rand(7)  # whatever was drawn before the night, dropout must not see it
    assert equal(once, result(settings(name), seed=4))
    assert not equal(once, result(settings(name), seed=5))


@pytest.mark.parametrize("optimizer", ["apollo", "apollo_mini"])
def test_another_optimizer_learns_and_comes_back(model, optimizer):
    before, surprise, wished = tensors(model), unlearned(model), settings("full", lr=0.01, optimizer=optimizer)
    night = trained(model, wished)
    assert night.steps == 8 and unlearned(model) < 0.9 * surprise
    found = {key: value.detach().clone() for key, value in night.weights.trainable.items()}
    night.weights.release()
    assert untouched(model, before)
    assert equal(found, result(wished)), "the projections come from the night's seed"
    for other in {"adamw", "apollo", "apollo_mini"} - {optimizer}:
        assert not equal(found, result(replace(wished, optimizer=other)))


@pytest.mark.parametrize("name", PRESETS)
def test_drawing_leaves_the_callers_random_numbers_alone(model, name):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    trained(model, settings(name))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("targets", [(), ("q_proj", "v_proj")])
def test_half_precision_trains_float32_masters_and_comes_back(targets):
    model = llama(torch.bfloat16)
    before = tensors(model)
    anchors = ANCHORS + decisions(3, seed=7, lesson=False, from_start=True)
    night = trained(model, settings("full", lr=0.01, targets=targets), anchors=anchors, watch=WATCH)
    assert all(value.dtype == torch.float32 for value in night.weights.trainable.values())
    night.weights.release()
    assert untouched(model, before) and model.dtype == torch.bfloat16


def test_kl_weight_zero_switches_the_defence_off():
    off = settings(kl_weight=0)
    night = trained(llama(), off)
    assert all(step["kl"] == 0 and step["loss"] == step["cross_entropy"] for step in night.metrics)
    assert equal(result(off), result(off, anchors=[]))
    assert not equal(result(off), result(settings()))


def test_the_defence_holds_watched_anchors_still():
    hold, free = (settings(lr=0.01, kl_weight=w, drift_every=8, drift_bound=100) for w in (10.0, 0.0))
    drifts = [trained(llama(), wished, watch=ANCHORS).metrics[-1]["drift"] for wished in (hold, free)]
    assert drifts[0] < 0.5 * drifts[1]


def test_ema_zero_gives_the_last_weights_else_their_average():
    last: list[dict[str, torch.Tensor]] = []

    def nights(ema):
        model = llama()
        last.clear()

        def keep(*_):
            last.append({key: v.detach().clone() for key, v in model.named_parameters() if "lora_" in key})

        return trained(model, settings(ema=ema), on_step=keep).weights.trainable

    assert equal(nights(0), last[-1])
    averaged = nights(0.5)
    slow = {key: torch.zeros_like(value) if "lora_B" in key else None for key, value in averaged.items()}
    for step, weights in enumerate(last):
        keep = min(0.5, (1 + step) / (10 + step))
        slow = {key: None if v is None else keep * v + (1 - keep) * weights[key] for key, v in slow.items()}
    for key, value in slow.items():
        if value is not None:
            torch.testing.assert_close(averaged[key].detach(), value)
    assert not equal(averaged, last[-1])


def test_equal_weights_are_no_weights_and_unequal_ones_are():
    assert equal(result(settings()), result(settings(), lessons=[replace(d, weight=1.0) for d in LESSONS]))
    heavy = [replace(d, weight=5.0 if place == 0 else 1.0) for place, d in enumerate(LESSONS)]
    assert not equal(result(settings()), result(settings(), lessons=heavy))


def test_drift_beyond_its_bound_stops_and_says_so(model):
    wished = settings(lr=0.02, kl_weight=0, drift_every=2, drift_bound=0.001)
    night = trained(model, wished, watch=WATCH)
    assert night.steps == 2
    assert night.stopped == f"drift {night.metrics[-1]['drift']:.3f} passed its bound of 0.001"
    calm = trained(llama(), replace(wished, drift_bound=100.0), watch=WATCH)
    assert calm.stopped == "finished" and sum("drift" in step for step in calm.metrics) == 4


def test_a_drift_that_is_no_number_stops(model, monkeypatch):
    monkeypatch.setattr(room, "drift", lambda *_: float("nan"))
    assert trained(model, settings(drift_every=3), watch=WATCH).steps == 3


def test_drift_is_nothing_at_the_start_and_leaves_the_mode(model):
    watch = list(zip(WATCH, teacher.targets(model, WATCH, 16, 40), strict=True))
    for training in (True, False):
        model.train(training)
        assert abs(loss.drift(model, watch, settings())) < 1e-5
        assert model.training is training


def test_no_step_begins_after_the_deadline(model):
    night = trained(model, settings(), deadline=time.monotonic() - 1)
    assert (night.steps, night.stopped) == (0, "out of time")
    start = answer(llama())
    torch.testing.assert_close(answer(model), start)  # B is zero still

    def late(step, *_):
        if step == 3:
            monkey.setattr(room.time, "monotonic", lambda: 1e12)

    with pytest.MonkeyPatch.context() as monkey:
        assert trained(llama(), settings(), on_step=late, deadline=time.monotonic() + 600).steps == 3


def spoil(monkeypatch, bad):
    """Let the steps in `bad` (counted from 0, one micro-batch each) have a loss that is no number."""
    honest, calls = loss.computed, iter(range(10**6))

    def computed(*arguments):
        loss_B = honest(*arguments)
        return loss_B * float("nan") if next(calls) in bad else loss_B

    monkeypatch.setattr(loss, "computed", computed)


@pytest.mark.parametrize("name", PRESETS)
def test_a_step_without_a_number_is_skipped_and_counted(model, monkeypatch, name):
    wished = settings(name, max_skipped=2)
    spoil(monkeypatch, {1, 4})
    seen: list[torch.Tensor] = []
    night = trained(model, wished, on_step=lambda *_: seen.append(answer(model)))
    assert night.skipped == 2 and night.steps == 8 and night.stopped == "finished"
    assert all(bool(value.isfinite().all()) for value in night.weights.trainable.values())
    assert bool(answer(model).isfinite().all())
    if name != "gentle":  # there dropout is on, so answers vary
        assert torch.equal(seen[1], seen[0]) and torch.equal(seen[4], seen[3])
        assert not torch.equal(seen[2], seen[1])


@pytest.mark.parametrize("wished", [
    settings("full", lr=0.01), settings("full", lr=0.01, optimizer="apollo"), settings(lr=0.01),
    settings("full", lr=0.01, context="detached", clip=0.01, optimizer="apollo_mini"),
])  # fmt: skip
def test_gradients_are_freed_one_by_one_and_the_weights_are_the_same(wished):
    """Of one pass forward, two backward; a step that is no number is skipped there, too."""
    kept, held = [], []
    for release in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            spoil(patch, {2})
            model = llama()

            def told(*_, model=model):
                held.append(sum(one.grad is not None for one in model.parameters()))

            handle = register_optimizer_step_pre_hook(told)
            try:
                night = trained(model, replace(wished, release_gradients=release))
            finally:
                handle.remove()
            assert night.skipped == 1
            kept.append((night, {key: value.detach().clone() for key, value in night.weights.trainable.items()}))
            assert max(held) == 1 if release else max(held) == len(night.weights.trainable)
            held.clear()
    (plain, wanted), (released, found) = kept
    for one, other in zip(plain.metrics, released.metrics, strict=True):
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4, nan_ok=True)
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-4, nan_ok=True)
    for key, value in wanted.items():
        moved = (value - plain.weights.start[key]).norm()
        assert float((found[key] - value).norm()) < 1e-3 * float(moved), key


@pytest.mark.parametrize("name", PRESETS)
def test_too_many_of_them_end_the_night_and_give_the_base_back(model, monkeypatch, name):
    before = tensors(model)
    spoil(monkeypatch, {2, 3, 4})
    with pytest.raises(TrainingError, match=r"3 steps had a non-finite loss.*Lower learn\.lr"):
        trained(model, settings(name, max_skipped=2))
    assert untouched(model, before)


@pytest.mark.parametrize("name", PRESETS)
def test_an_exception_passes_through_and_the_base_is_intact(model, name):
    before, words = tensors(model), answer(model)

    def lost(step, steps, metrics):
        assert steps == 8 and metrics["loss"] > 0
        if step == 3:
            raise KeyboardInterrupt("the lease is lost")

    with pytest.raises(KeyboardInterrupt, match="the lease is lost"):
        trained(model, settings(name), on_step=lost)
    assert untouched(model, before) and torch.equal(answer(model), words)
    assert trained(model, settings(name)).steps == 8  # and another night can begin


def test_nothing_to_learn_is_said(model):
    before = tensors(model)
    with pytest.raises(TrainingError, match="nothing to train on"):
        trained(model, settings(), lessons=[])
    assert untouched(model, before)


def test_warm_up_then_a_cosine_to_zero():
    rates = [plan.rate(step, 40, 8) for step in range(40)]
    assert rates[0] == pytest.approx(1 / 9) and rates[8] == 1.0 and rates[39] < 0.01
    assert rates[:9] == sorted(rates[:9]) and rates[8:] == sorted(rates[8:], reverse=True)
    assert plan.rate(0, 1, 8) == 1.0  # a night of one step has no time to warm up


@pytest.mark.parametrize(("count", "size"), [(5, 2), (3, 7), (4, 4), (0, 3), (3, 0)])
def test_every_scene_comes_once_before_any_comes_again(count, size):
    draw = plan._draws(count, size, seed=1)
    batches = [next(draw) for _ in range(30)]
    assert all(len(batch) == (size if count else 0) for batch in batches)
    flat = [i for batch in batches for i in batch]
    for first in range(0, len(flat) - count + 1, max(1, count)):
        assert sorted(flat[first : first + count]) == list(range(count))


def test_an_anchor_that_is_there_twice_asks_the_teacher_once(monkeypatch):
    asked = []

    def targets(model, anchors, *rest):
        asked.extend(anchors)
        return real(model, anchors, *rest)

    real = teacher.targets
    monkeypatch.setattr(teacher, "targets", targets)
    train(llama(), LESSONS, [*ANCHORS, *ANCHORS[:3]], settings()).weights.release()
    assert asked == ANCHORS


def test_one_round_of_everything_is_the_night_itself():
    wished = settings(lr=0.01)
    whole = room.Round(LESSONS, wished.steps(len(LESSONS)))
    assert equal(result(wished), result(wished, rounds=[whole]))
    part = room.Round(LESSONS, wished.steps(len(LESSONS)), anchors=ANCHORS[:3])
    assert not equal(result(wished), result(wished, rounds=[part]))


def test_a_round_is_asked_for_when_the_one_before_is_over(model):
    """By then the model answers with what was trained, and the next round goes on from there."""
    heard, before = [], unlearned(model)

    def rounds():
        heard.append(unlearned(model))
        yield room.Round(LESSONS, 6, later=2)
        assert not model.training
        heard.append(unlearned(model))
        yield room.Round(LESSONS[:4], 2, ANCHORS[:2], anneal=True)
        heard.append(unlearned(model))

    told = []
    tell = lambda step, of, _: told.append((step, of))  # noqa: E731
    night = trained(model, settings(lr=0.01, ema=0), rounds=rounds(), on_step=tell)
    assert heard[0] == before > heard[1] > 0
    assert told == [*((step, 8) for step in range(1, 7)), (7, 8), (8, 8)]
    assert [one["step"] for one in night.metrics] == list(range(8))
    assert night.metrics[6]["lr"] == pytest.approx(0.01 * plan.rate(6, 8, settings().warmup)), "not from the peak again"
    night.weights.release()


def test_what_has_less_than_no_weight_is_unlearned(model):
    """REINFORCE: an answer that was worse than the others becomes less likely."""
    one, other = LESSONS[:2]
    chance = lambda lesson: float(loss.losses(model, [(lesson, None)], torch.device("cpu")))  # noqa: E731
    before = chance(one), chance(other)
    pair = [replace(one, weight=0.5), replace(other, weight=-0.5)]
    night = trained(model, settings(lr=0.003, lesson_batch=2, clip=1.0), pair, anchors=[])
    assert night.stopped == "finished"
    assert chance(one) < before[0] and chance(other) > before[1]
    night.weights.release()
