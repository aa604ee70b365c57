"""The replay's data handling and arithmetic, on a model of a few thousand parameters."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def replay(bench: Callable[[str], ModuleType]) -> ModuleType:
    return bench("replay_sage")


@pytest.fixture
def tiny() -> torch.nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    return LlamaForCausalLM(LlamaConfig(num_attention_heads=2, num_key_value_heads=2, **sizes)).eval()


def test_without_the_buffers_it_says_so_and_succeeds(
    replay: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["replay_sage.py", "--data", str(tmp_path), "--smoke"])
    replay.main()
    assert capsys.readouterr().out == "data not found: skipped\n"


def test_it_trains_on_salience_from_point_six_the_most_salient_first(replay: ModuleType, tmp_path: Path) -> None:
    saved = [
        {"prompt": f" q{i} ", "response": "a", "salience": {"total": total}} for i, total in enumerate((0.6, 0.59, 0.9))
    ]
    (tmp_path / "buffer.json").write_text(json.dumps(saved))
    assert [(r.prompt, r.salience) for r in replay.training_set(replay.read(tmp_path / "buffer.json"))] == [
        ("q2", 0.9),
        ("q0", 0.6),
    ]


def test_held_out_records_are_distinct_and_were_not_trained_on(replay: ModuleType) -> None:
    record = replay.Record
    later = [record("a", "1", 0.9), record("a", "2", 0.1), record("a", "2", 0.8), record("b", "1", 0.2)]
    out = replay.held_out(later, [record("a", "1", 0.7)], 10)
    assert sorted((r.prompt, r.response) for r in out) == [("a", "2"), ("b", "1")]
    assert len(replay.held_out(later, [], 2)) == 2


def test_the_published_sets_have_their_published_sizes(replay: ModuleType) -> None:
    folder = ROOT.parent / "shared/data/sage"
    if not folder.is_dir():
        pytest.skip("the SAGE buffers are not there")
    sets = [replay.training_set(replay.read(folder / f"{cycle.name}.json")) for cycle in replay.CYCLES]
    assert [len(part) for part in sets] == [6, 250]


def test_the_loss_of_a_reply_is_that_of_its_tokens_alone(replay: ModuleType, tiny: torch.nn.Module) -> None:
    item = replay.Decision((1, 2, 3), (4, 5), 1.0)
    logp = tiny(torch.tensor([[1, 2, 3, 4, 5]])).logits[0].log_softmax(-1)
    expected = [-logp[i, t].item() for i, t in enumerate((2, 3, 4, 5))]
    found = replay.examine(tiny, [item])
    assert found["all tokens"][0] == pytest.approx(np.mean(expected), rel=1e-5)
    assert found["reply tokens"][0] == pytest.approx(np.mean(expected[-2:]), rel=1e-5)


def test_the_published_recipe_trains_rank_four_on_queries_and_values_only(
    replay: ModuleType, tiny: torch.nn.Module
) -> None:
    start = {name: value.clone() for name, value in tiny.state_dict().items()}
    student, epochs = replay.published(tiny, [replay.Decision((1, 2), (3, 4), 0.8)], seed=0)
    trained = {name: p for name, p in student.named_parameters() if p.requires_grad}
    assert len(epochs) == 3
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in trained} == {"q_proj", "v_proj"}
    assert all(4 in p.shape for p in trained.values())
    assert all(p.abs().sum() > 0 for name, p in trained.items() if "lora_B" in name)  # B starts at zero: it did learn
    after = {
        name.replace("base_model.model.", "").replace(".base_layer", ""): value
        for name, value in student.state_dict().items()
    }
    assert all(torch.equal(after[name], value) for name, value in start.items())


def test_rows_give_the_relative_change_of_the_mean(replay: ModuleType) -> None:
    before = {("training", "all tokens"): np.array([2.0, 4.0])}
    run = replay.Run(
        {("training", "all tokens"): [np.array([1.0, 3.0]), np.array([1.0, 3.0])]}, [0.1, 0.3], [-0.5, -0.5], [1.0, 1.0]
    )
    rows = {
        row.figure.removeprefix("c (2 records): "): row
        for row in replay.rows(replay.Cycle("c", "d", 4.0, 3.0), before, {"x": run}, 2)
    }
    assert rows["published log, training loss epoch 1 to 3, change in %"].value == pytest.approx(-25)
    change = rows["x, training, all tokens, change in %"]
    assert (change.value, change.low, change.high) == pytest.approx((-100 / 3,) * 3)
    drift = rows["x, drift on ordinary answers, nats a token"]
    assert drift.value == pytest.approx(0.2)
    assert drift.low < drift.value < drift.high
