"""Two processes take the steps of one: copies of all that is trained, and a base whose layers lie in parts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from accelerate import PartialState
from safetensors.torch import load_file

from slowwave.errors import TrainingError
from slowwave.learn import several
from slowwave.learn.difference import FILE, base_parameters, change
from slowwave.learn.settings import LearnSettings
from slowwave.learn.train import train
from tests.unit.learn.test_freezing import headed
from tests.unit.learn.tiny import ANCHORS, LESSONS, decisions, llama, settings

WATCH = decisions(3, seed=3, lesson=False)
FEW = {"micro_tokens": 30, "drift_every": 3, "lr": 0.01}
NIGHTS = {
    "an adapter": (settings(**FEW), False),
    "all parameters": (settings("full", **FEW, optimizer="apollo", clip=0.1), False),
    "a micro-batch for one": (settings(**{**FEW, "lesson_batch": 1, "anchor_batch": 0, "micro_tokens": 1}), False),
    "parts of the base": (settings(**FEW), True),
    "parts of the base, frozen contexts": (settings(**FEW, context="frozen"), True),
    "all parameters in parts": (settings("full", **FEW, clip=0.1), True),
    "all parameters in parts, APOLLO": (settings("full", **FEW, optimizer="apollo", clip=0.1), True),
}


def _night(wished: LearnSettings, parts: bool) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """The weights that it moved, less where they began, and its figures."""
    model = llama()
    if parts:
        several.shard(model)
        whole = sum(one.numel() for one in llama().model.layers.parameters())
        held = sum(one.to_local().numel() for one in model.model.layers.parameters())  # type: ignore[attr-defined]
        assert held < 0.6 * whole
    frozen = wished.context == "frozen"
    lessons, anchors = (headed(8, 1), headed(10, 2, lesson=False)) if frozen else (LESSONS, ANCHORS)
    watch = headed(4, 9, lesson=False) if frozen else WATCH
    night = train(model, lessons, anchors, wished, seed=3, watch=watch)
    moved = {key: change(night.weights.start[key], value.detach()) for key, value in night.weights.trainable.items()}
    layers = base_parameters(model.model.layers).values()
    assert not parts or all(map(several.lies_in_parts, layers)), "they are whole only while they compute"
    return moved, night.metrics


def _two_nights(folder: Path, parts: bool) -> bool:
    """All parameters, saved, gone on from and saved again; whether the model is itself again after each."""
    model, wished, itself = llama(), settings("full", **FEW, clip=0.1), True
    if parts:
        several.shard(model)
    before = {key: several.whole(value.detach()).clone() for key, value in model.named_parameters()}
    for seed, start in ((3, None), (4, folder / "3")):
        weights = train(model, LESSONS, ANCHORS, wished, seed=seed, start=start).weights
        weights.at(0.75)
        assert weights.save(folder / str(seed))["bytes"] > 10_000
        weights.release()
        itself &= all(torch.equal(several.whole(one), before[key]) for key, one in model.named_parameters())
    return itself


def _process(rank: int, port: str, folder: Path) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {"MASTER_PORT": port, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    state = PartialState(cpu=True)
    assert (several.count(), dist.get_rank()) == (2, rank)
    made = {}
    for name, (wished, parts) in NIGHTS.items():
        made[name] = _night(wished, parts)
    with pytest.raises(TrainingError, match="add their gradients up"):
        _night(replace(NIGHTS["an adapter"][0], release_gradients=True), False)
    assert _two_nights(folder / "parts", parts=True)
    in_half = llama(torch.bfloat16)
    several.shard(in_half)
    with pytest.raises(TrainingError, match="in the precision they have"):
        train(in_half, LESSONS, ANCHORS, NIGHTS["all parameters"][0])
    torch.save(made, folder / f"{rank}.pt")
    state.wait_for_everyone()
    state.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    folder = tmp_path_factory.mktemp("several")
    torch.multiprocessing.spawn(_process, args=(port, folder), nprocs=2)  # type: ignore[no-untyped-call]
    return folder


@pytest.fixture(scope="module")
def made(folder: Path) -> list[dict[str, tuple[dict[str, torch.Tensor], list[dict[str, float]]]]]:
    """What each of them made of all nights."""
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", NIGHTS)
def test_two_processes_take_the_steps_of_one(made, name):
    moved, metrics = _night(NIGHTS[name][0], parts=False)
    for found, told in (one[name] for one in made):
        assert len(told) == len(metrics) > 3
        for mine, right in zip(told, metrics, strict=True):
            assert mine.keys() == right.keys()
            for figure, value in right.items():
                assert mine[figure] == pytest.approx(value, rel=1e-3, abs=1e-6), figure
        for key, right in moved.items():
            assert float((found[key] - right).norm()) < 1e-3 * float(right.norm()), key
    (one, _), (other, _) = (each[name] for each in made)
    assert all(torch.equal(one[key], value) for key, value in other.items()), "both have the same weights, bit for bit"


@pytest.mark.parametrize("seed", [3, 4])
def test_what_lay_in_parts_is_saved_and_gone_on_from_whole(folder, tmp_path, seed):
    assert _two_nights(tmp_path, parts=False)
    found, wanted = (load_file(path / str(seed) / FILE) for path in (folder / "parts", tmp_path))
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert float((found[key].float() - value.float()).norm()) < 0.01 * float(value.float().norm()), key
    assert (folder / "parts" / str(seed) / "adapter_model.safetensors").is_file()


def test_shares_are_of_one_length_and_leave_nothing_out(monkeypatch):
    groups = [[0], [1, 2], [3]]
    assert several.share(groups) == [([0], 1.0), ([1, 2], 1.0), ([3], 1.0)]
    monkeypatch.setattr(several, "count", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        shares.append(several.share(groups))
    assert shares == [[([0], 1.0), ([3], 1.0)], [([1, 2], 1.0), ([0], 0.0)]]
