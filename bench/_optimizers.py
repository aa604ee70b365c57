"""A step of APOLLO and APOLLO-Mini on all parameters against torch's fused AdamW: time, and bytes of state."""

from __future__ import annotations

import statistics
from typing import Any

import torch
from _table import Row

from slowwave.learn.apollo import Apollo

KINDS = {
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, 1e-5, weight_decay=0.0, fused=True),
    "APOLLO": lambda parameters: Apollo(parameters, 1e-5),
    "APOLLO-Mini": lambda parameters: Apollo(parameters, 1e-5, rank=1, scale=128.0, tensorwise=True),
}


def rows(model: Any, head: str, steps: int, now: Any) -> list[Row]:
    """One after the other on the same float32 weights and gradients; two steps of each are not counted."""
    parameters = [p.requires_grad_(True) for p in model.float().parameters()]
    draw = torch.Generator(parameters[0].device).manual_seed(0)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=draw, device=parameter.device) * 1e-3
    times: dict[str, list[float]] = {}
    state: dict[str, int] = {}
    for name, make in KINDS.items():
        optimizer = make(parameters)
        times[name] = []
        for _ in range(steps + 2):
            began = now()
            optimizer.step()
            times[name].append(now() - began)
        del times[name][:2]
        held = [value for one in optimizer.state.values() for value in one.values() if isinstance(value, torch.Tensor)]
        state[name] = sum(value.nbytes for value in held)
    whole = statistics.median(times["AdamW"])
    out = [_row(f"{head}: {name}, ms a step", [1000 * s for s in mine]) for name, mine in times.items()]
    for name, floor, aim in (("APOLLO", 1 / 8, 1 / 8), ("APOLLO-Mini", 1 / 8, 0.01)):
        out.append(_row(f"{head}: {name}, time over AdamW's", [s / whole for s in times[name]], 1.1, 1.0))
        out.append(_row(f"{head}: {name}, state over AdamW's", [state[name] / state["AdamW"]], floor, aim))
    return out


def _row(figure: str, values: list[float], floor: float | None = None, aim: float | None = None) -> Row:
    return Row(figure, statistics.median(values), min(values), max(values), floor, aim, True)
