"""A night in several processes: each takes its share of a step's micro-batches, and all take the same step.

Every process calls `train` with the same arguments, once `torchrun` or `accelerate launch` has started them and the
process group is there (Accelerate's `PartialState()` makes it). A model that is too large for one device lies in parts
over all of them (`shard`); adapters are trained beside it, and all of its parameters in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def count() -> int:
    """How many processes train this night."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def shard(model: Any) -> None:
    """Let each process keep its part of every layer's weights, which are whole while the layer computes (FSDP2).

    Embeddings, the last norm and the head stay whole everywhere.
    """
    from torch.distributed.fsdp import fully_shard  # takes a second, which a single process need not wait

    for layer in model.model.layers:
        fully_shard(layer, reshard_after_forward=True)  # each is a root, which would stay whole


def sharded(model: nn.Module) -> bool:
    """Whether a layer's weights lie in several processes."""
    if count() == 1:
        return False
    from torch.distributed.fsdp import FSDPModule

    return any(isinstance(module, FSDPModule) for module in model.modules())


def lies_in_parts(tensor: Tensor) -> bool:
    """Whether each process has a part of it: a DTensor."""
    return hasattr(tensor, "device_mesh")


def kinds(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Those that lie in parts and those that do not, as few of torch's functions take both; a kind without any is left
    out."""
    both = [[one for one in parameters if lies_in_parts(one) is parts] for parts in (False, True)]
    return [kind for kind in both if kind]


def whole(tensor: Any) -> Tensor:
    """All of it in every process. Those that lie in parts are put together by all processes at once."""
    out: Tensor = tensor.full_tensor() if lies_in_parts(tensor) else tensor
    return out


def placed(value: Tensor, like: Any) -> Tensor:
    """A whole tensor where `like` is: on its device, and in parts if that is."""
    value = value.to(like.device)
    if not lies_in_parts(like):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value, like.device_mesh, like.placements)


def share(groups: Sequence[list[int]]) -> list[tuple[list[int], float]]:
    """This process's micro-batches and what they count. All have as many, as they read sharded layers together: the
    first comes again where one is missing, and counts nothing."""
    processes = count()
    if processes == 1:
        return [(group, 1.0) for group in groups]
    mine = [(group, 1.0) for group in groups[dist.get_rank() :: processes]]
    missing = -(-len(groups) // processes) - len(mine)
    return mine + [(groups[0], 0.0)] * missing


def tokens_each(tokens: int, every: int) -> int:
    """Of a micro-batch, at most: so few that each process has one of a step's tokens."""
    return min(tokens, -(-every // count()))


def added(parameters: Sequence[nn.Parameter], figures: Mapping[str, float]) -> dict[str, float]:
    """Sum the gradients of all processes into each one's, and their figures."""
    if count() == 1:
        return dict(figures)
    for parameter in parameters:
        if lies_in_parts(parameter) and parameter.grad is not None:
            parameter.grad.mul_(count())  # FSDP2 took the mean
    parameters = [parameter for parameter in parameters if not lies_in_parts(parameter)]
    grads = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
    told = torch.tensor(list(figures.values()), dtype=torch.float64)
    flat = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(flat)
    for parameter, grad, whole in zip(parameters, grads, flat.split([grad.numel() for grad in grads]), strict=True):
        parameter.grad = grad.copy_(whole.view_as(grad))
    told = told.to(flat.device)
    dist.all_reduce(told)
    return dict(zip(figures, told.tolist(), strict=True))


def clipped(parameters: Sequence[nn.Parameter], most: float) -> float:
    """Scale the gradients down to a norm of `most`; their norm before. As `clip_grad_norm_`, which takes no mixture of
    what lies in parts and what does not."""
    every = kinds(parameters)
    norms = [whole(nn.utils.get_total_norm([p.grad for p in kind if p.grad is not None])) for kind in every]
    norm = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
    for kind in every:
        nn.utils.clip_grads_with_norm_(kind, most, norm)
    return float(norm)


def first() -> bool:
    """Whether this process writes what all have."""
    return count() == 1 or dist.get_rank() == 0


def wait() -> None:
    """Until all processes are here."""
    if count() > 1:
        dist.barrier()


def agreed(value: bool, device: torch.device) -> bool:
    """What the first process says, so that none goes on without the others."""
    if count() == 1:
        return value
    said: Tensor = torch.tensor(float(value), device=device)
    dist.broadcast(said, 0)
    return bool(said)
