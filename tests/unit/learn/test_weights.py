"""The straight line from start to result, the files of a version, and nights that go on from one."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from slowwave.errors import AdapterMismatch, DamagedFile, TrainingError
from slowwave.learn import adapter, difference
from slowwave.learn.export import low_rank
from slowwave.learn.train import train
from slowwave.learn.weights import Weights
from tests.unit.learn.tiny import ANCHORS, LESSONS, answer, decisions, equal, llama, settings, tensors, untouched

PRESETS = ["gentle", "adapter", "full"]
FILE = "adapter_model.safetensors"


def night(model, name="adapter", start=None, anchors=(), **changes):
    wished = settings(name, **{"lr": 0.02, "kl_weight": 1.0, **changes})
    return train(model, LESSONS, anchors, wished, start=start)


@pytest.fixture
def saved(model, tmp_path):
    """The folder of a version of preset `adapter`; the model is the base again."""
    done = night(model)
    done.weights.save(tmp_path / "n0001")
    done.weights.release()
    return tmp_path / "n0001"


# The line


@pytest.mark.parametrize("name", PRESETS)
def test_the_line_from_start_to_result(model, name):
    start = answer(model)
    weights = night(model, name).weights
    whole = {key: value.detach().clone() for key, value in weights.trainable.items()}
    result = answer(model)
    weights.at(0.0)
    torch.testing.assert_close(answer(model), start, atol=1e-6, rtol=0)
    weights.at(0.5)
    half = (answer(model) - start).norm() / (result - start).norm()
    assert 0.1 < half < 0.9
    weights.at(1.0)
    assert equal({key: value.detach() for key, value in weights.trainable.items()}, whole)
    assert torch.equal(answer(model), result)


def test_half_way_is_half_of_the_full_change(model):
    before = tensors(model)
    weights = night(model, "full").weights
    after = tensors(model)
    weights.at(0.5)
    for key, value in tensors(model).items():
        torch.testing.assert_close(value, (before[key] + after[key]) / 2)


def test_half_way_is_half_of_an_adapters_change_on_its_first_night(model):
    weights = night(model).weights

    def products():
        return [layer.get_delta_weight("night").detach().clone() for layer in adapter.layers(model)]

    whole = products()
    weights.at(0.5)
    for half, one in zip(products(), whole, strict=True):
        torch.testing.assert_close(half, one / 2)


# Adapters


def test_a_saved_adapter_answers_the_same_on_every_load(saved):
    answers = []
    for name in ("default@n0001", "again"):
        model = llama()
        adapter.load(model, name, saved)
        adapter.activate(model, name)
        answers.append(answer(model))
    assert torch.equal(*answers)
    live = llama()
    torch.testing.assert_close(answers[0], _in_memory(live), atol=0.05, rtol=0)  # the file is rounded to bfloat16
    assert (answers[0] - answer(llama())).abs().max() > 0.5


def _in_memory(model):
    night(model)
    return answer(model)


def test_adapters_share_a_model_and_leave_it(model, saved):
    before, base = tensors(model), answer(model)
    adapter.load(model, "one", saved)
    adapter.load(model, "two", saved)
    adapter.activate(model, "one")
    one = answer(model)
    adapter.activate(model, None)
    assert torch.equal(answer(model), base)
    adapter.remove(model, "one")
    adapter.activate(model, "two")
    assert torch.equal(answer(model), one)
    adapter.remove(model, "two")
    adapter.activate(model, None)
    assert untouched(model, before) and torch.equal(answer(model), base)


def test_a_night_beside_a_served_adapter_leaves_it_alone(model, saved):
    adapter.load(model, "served", saved)
    adapter.activate(model, "served")
    served = answer(model)
    night(model).weights.release()
    adapter.activate(model, "served")
    assert torch.equal(answer(model), served)


# Full


def full_night(tmp_path, dtype=torch.bfloat16, **changes):
    model = llama(dtype)
    done = night(model, "full", lr=0.01, **changes)
    report = done.weights.save(tmp_path / "full")
    done.weights.release()
    return model, tmp_path / "full", report


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_difference_is_served_the_same_on_every_load_and_taken_out_again(tmp_path, dtype):
    model, folder, report = full_night(tmp_path, dtype)
    base, words = tensors(model), answer(model)
    once, twice = difference.load(model, folder), difference.load(llama(dtype), folder)
    assert equal(once, twice) and once
    assert report["bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    difference.swap(model, once)
    served = answer(model)
    assert equal({key: tensors(model)[key] for key in twice}, twice) and not torch.equal(served, words)
    difference.swap(model, once)
    assert equal(tensors(model), base) and torch.equal(answer(model), words)
    difference.swap(model, once)
    assert torch.equal(answer(model), served)


def test_a_difference_finds_its_place_under_adapter_layers(tmp_path, saved):
    model, folder, _ = full_night(tmp_path, torch.float32)
    wrapped = llama()
    adapter.load(wrapped, "other", saved)
    adapter.activate(wrapped, None)
    assert equal(difference.load(wrapped, folder), difference.load(model, folder))


def test_a_difference_is_rounded_once(tmp_path):
    model, folder, _ = full_night(tmp_path)
    base, values = tensors(model), difference.load(model, folder)
    for key, change in load_file(folder / difference.FILE).items():
        assert torch.equal(values[key], (base[key].float() + change.float()).bfloat16())


def change(rank=None):
    """(before, after) of two linear layers; `rank` of the change, full where None."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    before = {key: value for key, value in tensors(llama()).items() if key.endswith("_proj.weight")}
    after = {
        key: value + 0.1 * (draw(*value.shape) if rank is None else draw(len(value), rank) @ draw(rank, value.shape[1]))
        for key, value in before.items()
    }
    return before, after


def test_the_export_keeps_more_with_a_higher_rank_and_all_at_full_rank(tmp_path):
    kept = [low_rank(*change(), rank, tmp_path / str(rank)) for rank in (1, 4, 16, 32, 40)]
    assert kept == sorted(kept) and kept[0] < 0.5
    assert kept[3] == pytest.approx(1.0, abs=1e-4) and kept[4] == pytest.approx(1.0, abs=1e-4)
    assert low_rank(*change(rank=3), 3, tmp_path / "three") == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("rank", [32, 40])
def test_a_full_rank_export_answers_as_the_change(tmp_path, model, rank):
    before, after = change()
    low_rank(before, after, rank, tmp_path)
    adapter.load(model, "export", tmp_path)
    adapter.activate(model, "export")
    exact = llama()
    difference.swap(exact, dict(after))
    found, wished, base = answer(model), answer(exact), answer(llama())
    assert (found - wished).norm() < 0.05 * (wished - base).norm()


def test_a_change_of_embeddings_counts_as_lost(tmp_path):
    before, after = change(rank=2)
    before["model.embed_tokens.weight"], after["model.embed_tokens.weight"] = torch.zeros(9, 9), torch.ones(9, 9)
    lost = 81 / (81 + sum(float((after[k] - before[k]).square().sum()) for k in before if "proj" in k))
    assert low_rank(before, after, 2, tmp_path) == pytest.approx(1 - lost, abs=1e-4)


def test_the_export_of_a_change_is_the_same_file_every_time(tmp_path):
    for name in ("a", "b"):
        low_rank(*change(), 2, tmp_path / name)
        torch.rand(5)
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()


# Going on from a version


def test_the_next_night_starts_from_the_version(model, saved):
    reference = llama()
    adapter.load(reference, "v", saved)
    adapter.activate(reference, "v")
    weights = Weights(model, settings(rank=2), saved, seed=0)  # another rank in the settings: the version's own counts
    assert torch.equal(answer(model), answer(reference))
    assert weights.config.r == 4
    weights.release()


def test_the_next_full_night_starts_from_the_version(tmp_path):
    model, folder, _ = full_night(tmp_path)
    before = tensors(model)
    served = difference.load(model, folder)
    weights = Weights(model, settings("full"), folder, seed=0)
    assert all(torch.equal(weights.trainable[key].bfloat16(), value) for key, value in served.items())
    weights.release()
    assert untouched(model, before)


def test_a_full_night_after_an_adapter_forgets_nothing(model, saved):
    before, reference = tensors(model), llama()
    adapter.load(reference, "v", saved)
    adapter.activate(reference, "v")
    weights = Weights(model, settings("full"), saved, seed=0)
    torch.testing.assert_close(answer(model), answer(reference), atol=1e-4, rtol=0)
    weights.release()
    assert untouched(model, before)


def test_an_adapter_does_not_go_on_from_less_than_what_is_served(tmp_path):
    """A full night's folder holds a low-rank export too, which is another version."""
    model, folder, _ = full_night(tmp_path)
    before = tensors(model)
    with pytest.raises(TrainingError, match="changed all parameters"):
        night(model, "adapter", start=folder)
    assert untouched(model, before)


def test_targets_that_leave_out_what_was_learned_are_refused(model, saved):
    before = tensors(model)
    with pytest.raises(TrainingError, match=r"learn\.targets leaves out"):
        night(model, "full", start=saved, targets=("q_proj",))
    assert untouched(model, before)


def test_rehearsed_anchors_are_taught_by_the_version_and_others_by_the_base(saved):
    """At the start the version's own anchors have no KL; the base's have as much as the version is away from it."""
    kl = {}
    for from_start in (True, False):
        anchors = decisions(10, seed=2, lesson=False, from_start=from_start)
        done = night(llama(), start=saved, anchors=anchors, anchor_batch=10, rehearsal_batch=10, lr=1e-8, ema=0)
        kl[from_start] = done.metrics[0]["kl_rehearsed" if from_start else "kl"]
    assert abs(kl[True]) < 1e-4 and kl[False] > 0.01


def test_mixed_anchors_keep_their_own_teachers(saved):
    """Of alternating anchors each kind is a term of its own: none is taught by the other's teacher."""
    kinds = [decisions(10, seed=2, lesson=False, from_start=kind) for kind in (True, False)]
    mixed = [kinds[place % 2][place] for place in range(10)]
    five = {"start": saved, "anchor_batch": 5, "rehearsal_batch": 5, "lr": 1e-8}
    found = night(llama(), anchors=mixed, **five).metrics[0]
    base_alone = night(llama(), anchors=kinds[1][1::2], **five).metrics[0]
    assert found["kl"] == pytest.approx(base_alone["kl"], rel=1e-3) and found["kl"] > 0.01
    assert abs(found["kl_rehearsed"]) < 1e-4 and "kl_rehearsed" not in base_alone


def test_rehearsal_has_a_weight_of_its_own_and_goes_through_the_same_gradient(saved):
    """Without it a night forgets more of what the version said; at weight zero the scenes are left out."""
    rehearsed = decisions(10, seed=2, lesson=False, from_start=True)
    of = lambda **changes: night(llama(), start=saved, anchors=rehearsed, lr=0.01, **changes).metrics  # noqa: E731
    weak, strong = of(rehearsal_weight=0.01), of(rehearsal_weight=10.0)
    assert strong[-1]["kl_rehearsed"] < 0.5 * weak[-1]["kl_rehearsed"]
    for step in strong:
        assert step["loss"] == pytest.approx(step["cross_entropy"] + 10 * step["kl_rehearsed"], rel=1e-5)
    assert "kl_rehearsed" not in of(rehearsal_weight=0.0)[-1]


def test_drift_is_measured_from_the_base_not_from_the_version(saved):
    done = train(
        llama(), LESSONS, ANCHORS, settings(lr=1e-8, drift_every=1, drift_bound=0.0), start=saved,
        watch=decisions(5, seed=9, lesson=False),
    )  # fmt: skip
    assert done.metrics[0]["drift"] > 0.01 and done.steps == 1


# Damaged and wrong files


@pytest.mark.parametrize("harm", ["cut", "missing", "no config", "broken config"])
def test_a_damaged_adapter_is_named(model, saved, harm):
    before, file = tensors(model), saved / FILE
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif harm == "missing":
        file.unlink()
    elif harm == "no config":
        (saved / "adapter_config.json").unlink()
    else:
        (saved / "adapter_config.json").write_text('{"peft_type": "LORA", ')
    with pytest.raises(DamagedFile, match="n0001"):
        adapter.load(model, "x", saved)
    assert untouched(model, before)


@pytest.mark.parametrize("harm", ["wrong shape", "unknown tensor", "lost tensor", "unknown layer", "another kind"])
def test_an_adapter_of_another_model_is_refused(model, saved, harm):
    before, held = tensors(model), load_file(saved / FILE)
    key = next(iter(held))
    config = (saved / "adapter_config.json").read_text()
    if harm == "wrong shape":
        held[key] = torch.zeros(held[key].shape[0], held[key].shape[1] + 1)
    elif harm == "unknown tensor":
        held[key.replace("layers.0", "layers.7")] = held[key].clone()
    elif harm == "lost tensor":
        del held[key]
    elif harm == "unknown layer":
        config = config.replace("q_proj", "other_proj").replace('"k_proj"', '"p"').replace('"v_proj"', '"x"')
    else:
        config = '{"peft_type": "IA3", "task_type": "CAUSAL_LM", "target_modules": ["q_proj"]}'
    save_file(held, saved / FILE, metadata={"format": "pt"})
    (saved / "adapter_config.json").write_text(config)
    with pytest.raises(AdapterMismatch):
        adapter.load(model, "x", saved)
    assert untouched(model, before)


def test_a_pickle_is_never_read(model, saved):
    """Neither in place of the safetensors file nor beside it."""
    held = {key: value * 5 for key, value in load_file(saved / FILE).items()}
    adapter.load(model, "clean", saved)
    adapter.activate(model, "clean")
    expected = answer(model)
    torch.save(held, saved / "adapter_model.bin")
    torch.save(held, saved / "pytorch_model.bin")
    adapter.load(model, "beside", saved)
    adapter.activate(model, "beside")
    assert torch.equal(answer(model), expected)
    (saved / FILE).unlink()
    with pytest.raises(DamagedFile):
        adapter.load(model, "instead", saved)


def test_a_damaged_difference_is_named_and_a_strange_one_refused(tmp_path):
    model, folder, _ = full_night(tmp_path)
    base, file = tensors(model), folder / difference.FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(DamagedFile, match="difference"):
        difference.load(model, folder)
    for strange in ({"model.norm.weight": torch.zeros(31)}, {"model.other.weight": torch.zeros(32)}):
        save_file(strange, file)
        with pytest.raises(AdapterMismatch, match=next(iter(strange))):
            difference.load(model, folder)
    file.unlink()
    with pytest.raises(DamagedFile):
        difference.load(model, folder)
    assert equal(tensors(model), base)


def test_a_damaged_start_ends_the_night_before_it_begins(model, saved):
    before = tensors(model)
    (saved / FILE).write_bytes(b"")
    for name in ("adapter", "full"):
        with pytest.raises(DamagedFile):
            night(model, name, start=saved)
        assert untouched(model, before)
