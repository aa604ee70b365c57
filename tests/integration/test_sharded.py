"""Two processes that share a model's weights take the steps of one."""

from __future__ import annotations

import gc
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from slowwave.learn.apollo import Apollo

STEPS, ROWS = 5, 8


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 20), nn.Linear(20, 6))


def _train(model: nn.Module, inputs: torch.Tensor) -> None:
    optimizer = Apollo(model.parameters(), 0.05, rank=3, redraw=2, weight_decay=0.1)
    for batch in inputs:
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()


def _process(rank: int, meeting: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    try:
        _compare(rank)
        gc.collect()  # the shards hold the group, and must be gone before it is
        dist.barrier()  # neither leaves while the other still talks to it
    finally:
        dist.destroy_process_group()


def _compare(rank: int) -> None:
    inputs = torch.randn(STEPS, ROWS, 12, generator=torch.Generator().manual_seed(1))
    alone, shared = _model(), _model()
    start = [parameter.detach().clone() for parameter in alone.parameters()]
    _train(alone, inputs)
    fully_shard(shared, mesh=init_device_mesh("cpu", (2,)))
    _train(shared, inputs[:, rank * ROWS // 2 : (rank + 1) * ROWS // 2])
    for before, one, two in zip(start, alone.parameters(), shared.parameters(), strict=True):
        whole = two.full_tensor()  # type: ignore[attr-defined]
        assert two.to_local().shape[0] < whole.shape[0]  # type: ignore[attr-defined]
        assert (one - before).abs().max() > 0.01
        torch.testing.assert_close(whole, one.detach(), atol=1e-5, rtol=0)


def test_apollo_under_fsdp2_is_apollo_in_one_process(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_process, args=(str(tmp_path / "meeting"),), nprocs=2)  # type: ignore[no-untyped-call]
