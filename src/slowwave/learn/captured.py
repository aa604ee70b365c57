"""A micro-batch's forward and backward after contexts, captured once as a CUDA graph and replayed.

A packed step is thousands of small kernels, which take longer to launch than to run. Replayed, they are launched at
once. A graph reads and writes fixed memory, so each micro-batch is copied into that of the first of its size; sizes are
padded, so that there are few (`blocks.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from slowwave.learn.blocks import Blocks
from slowwave.learn.context import padded
from slowwave.learn.loss import Work, micro_step
from slowwave.learn.rows import Rows

_BYTES = 8 << 30  # of what all captured steps read; sizes that come after take the plain way
_DECISIONS = 16  # losses of a micro-batch are padded to a multiple
_UNLIKELY = -20.0  # a padded token's teacher; its share of the loss is zero


@dataclass(frozen=True)
class _Replay:
    work: Work
    weight_B: Tensor
    loss_B: Tensor
    run: Callable[[], Any]


class Captured:
    """`loss.micro_step` of micro-batches after contexts on a GPU, for one model and what is trained in it.

    Args:
        parameters: what is trained. Gradients are added to `.grad`, which is made here where there is none, and must
            stay the same tensor.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        self._grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self._kept: dict[tuple[Any, ...], _Replay | None] = {}  # by sizes; None where one micro-batch was of them
        self._pool: Any = None
        self._room = _BYTES

    def step(self, model: nn.Module, work: Work, weight_B: Tensor) -> Tensor:
        """As `loss.micro_step`."""
        wide, weight_C = _wide(work), _longer(weight_B, _up(work.count, _DECISIONS))
        sizes = (wide.count, wide.lessons, *(tensor.shape for tensor in _tensors(wide)))
        if sizes not in self._kept:  # it may stay the only one, and capturing takes as long as a few steps
            self._kept[sizes] = None
            return micro_step(model, work, weight_B)
        kept = self._kept[sizes]
        if kept is None:
            size = sum(tensor.nbytes for tensor in _tensors(wide))
            if size > self._room:
                return micro_step(model, work, weight_B)
            kept = self._kept[sizes] = self._capture(model, wide, weight_C)
            self._room -= size
        torch._foreach_copy_([*_tensors(kept.work), kept.weight_B], [*_tensors(wide), weight_C])
        kept.run()
        return kept.loss_B[: work.count].clone()

    def _capture(self, model: nn.Module, work: Work, weight_B: Tensor) -> _Replay:
        packing = cast("Rows | Blocks", work.batch.packing)
        before = [(keys.clone(), values.clone()) for keys, values in packing.before]  # a context may be kept elsewhere
        own = replace(work, batch=replace(work.batch, packing=replace(packing, before=before)))
        held = [grad.clone() for grad in self._grads]
        loss_B, run = self._record(lambda: micro_step(model, own, weight_B))
        torch._foreach_copy_(self._grads, held)
        return _Replay(own, weight_B, loss_B, run)

    def _record(self, run: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], Any]]:
        """What `run` returns, and what computes it anew into the same tensor. It may have run already."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(2):  # compiles what is compiled, and lets libraries take their memory
                run()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            out = run()
        self._pool = graph.pool()  # one graph runs at a time, and what it leaves is read before the next
        return out, graph.replay


def _wide(work: Work) -> Work:
    """The same losses with tokens and decisions that count for nothing, up to a size of which there are few."""
    batch, split = work.batch, work.lessons
    lessons, anchors = _room(split), _room(len(work.owner_N) - split)
    each = lambda tensor: torch.cat([_longer(tensor[:split], lessons), _longer(tensor[split:], anchors)])  # noqa: E731
    logp_AK = work.logp_AK
    rows_N, places_N, targets_N = map(each, (batch.rows_N, batch.places_N, batch.targets_N))
    return replace(
        work,
        batch=replace(batch, rows_N=rows_N, places_N=places_N, targets_N=targets_N),
        owner_N=each(work.owner_N),
        share_N=each(work.share_N),
        lessons=lessons,
        tokens_AK=None if work.tokens_AK is None else _longer(work.tokens_AK, anchors),
        logp_AK=None if logp_AK is None else _longer(logp_AK, anchors, _UNLIKELY),
        count=_up(work.count, _DECISIONS),
    )


def _room(count: int) -> int:
    return padded(count) if count else 0


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _longer(tensor: Tensor, size: int, value: float = 0.0) -> Tensor:
    empty = tensor.new_full((size - len(tensor), *tensor.shape[1:]), value)
    return torch.cat([tensor, empty])


def _tensors(work: Work) -> list[Tensor]:
    """Everything that the step reads, in a fixed order."""
    batch, packing = work.batch, cast("Rows | Blocks", work.batch.packing)
    taught = [] if work.tokens_AK is None or work.logp_AK is None else [work.tokens_AK, work.logp_AK]
    seats = [] if batch.seats is None else [batch.seats.personas_Q]
    return [
        batch.ids_1T, batch.positions_1T, batch.rows_N, batch.places_N, batch.targets_N, work.owner_N, work.share_N,
        *taught, *seats, *packing.tensors(),
    ]  # fmt: skip
