"""Encoded contexts, kept across decisions, epochs, personas and nights: on the device, in host memory, on disk.

What was asked for longest ago goes down a tier when the tier above is full, and after the last it is encoded again. A
context is known by the base's hash, the template's hash and its tokens, so that none is ever stale.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from slowwave.errors import TrainingError
from slowwave.learn import adapter, difference
from slowwave.learn.context import Context, encode_all
from slowwave.learn.shelf import Shelf

_GIB = 1 << 30


@dataclass(frozen=True)
class Budget:
    """Bytes of each tier. The context that was asked for last stays on the device, however large it is."""

    device: int = 8 * _GIB
    host: int = 16 * _GIB
    disk: int = 64 * _GIB


class ContextStore:
    """The contexts of one base, each encoded once.

    Args:
        model: the base, with or without adapters, which are silent while it encodes.
        base: hash of the base's weights.
        template: hash of the chat template that made the tokens.
        folder: where the disk's tier lies; None: there is none.
    """

    def __init__(
        self, model: Any, base: str, template: str, *, budget: Budget | None = None, folder: Path | None = None
    ) -> None:
        self.model, self.budget = model, budget or Budget()
        self.encoded = 0  # contexts that no tier had
        self._known_by = f"{base} {template} ".encode()
        self._weights = _places(model)
        self._device: OrderedDict[str, Context] = OrderedDict()  # the one asked for last is last
        self._host: OrderedDict[str, Context] = OrderedDict()
        self._disk = Shelf(folder, base, template, self.budget.disk) if folder is not None else None

    def get(self, tokens: Sequence[int]) -> Context:
        """The context of these tokens. Raises as `get_all`."""
        (context,) = self.get_all([tuple(tokens)]).values()
        return context

    def get_all(self, contexts: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], Context]:
        """The contexts of these tokens, on the model's device; those that no tier has are encoded together.

        Raises:
            TrainingError: one would have to be encoded, and the model's weights are not the base's now; or a file says
                that it was encoded by another base.
        """
        device = next(self.model.parameters()).device
        keys = {tokens: self._key(tokens) for tokens in contexts}
        found = {key: self._find(key, tokens, device) for tokens, key in keys.items()}
        unknown = [tokens for tokens, key in keys.items() if found[key] is None]
        made = self._encode(unknown) if unknown else {}
        out = {tokens: _moved(found[key] or made[tokens], device) for tokens, key in keys.items()}
        for tokens, key in keys.items():
            self._host.pop(key, None)
            self._device[key] = out[tokens]
            self._device.move_to_end(key)
        self._spill()
        return out

    def _key(self, tokens: Sequence[int]) -> str:
        return hashlib.sha256(self._known_by + array("q", tokens).tobytes()).hexdigest()

    def _find(self, key: str, tokens: Sequence[int], device: torch.device) -> Context | None:
        context = self._device.get(key) or self._host.get(key)
        return self._disk.read(key, tokens, device) if context is None and self._disk is not None else context

    def close(self) -> None:
        """Write to disk what is held."""
        if self._disk is not None:
            for key, context in [*self._host.items(), *self._device.items()]:
                self._disk.write(key, context)

    def _encode(self, contexts: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], Context]:
        if _places(self.model) != self._weights:
            raise TrainingError(
                "A context is encoded by the base, and the model's weights are others now.",
                "Encode the contexts before all parameters are trained.",
            )
        self.encoded += len(contexts)
        with adapter.silent(self.model):
            made = encode_all(self.model, contexts)
        return made if len(made) == 1 else {tokens: _apart(context) for tokens, context in made.items()}

    def _spill(self) -> None:
        """Move what was asked for longest ago down a tier, until each tier holds what it may."""
        while len(self._device) > 1 and _size(self._device) > self.budget.device:
            key, context = self._device.popitem(last=False)
            self._host[key] = _moved(context, torch.device("cpu"))
        while _size(self._host) > self.budget.host:
            key, context = self._host.popitem(last=False)
            if self._disk is not None:
                self._disk.write(key, context)


def _places(model: Any) -> dict[str, int]:
    """Where the base's weights lie: training all parameters puts copies in their place."""
    return {name: parameter.data_ptr() for name, parameter in difference.base_parameters(model).items()}


def _moved(context: Context, device: torch.device) -> Context:
    """On `device`; one that is there stays the same object, by which a batch knows that decisions share it."""
    if context.layers[0][0].device == device:
        return context
    return Context(context.tokens, tuple((keys.to(device), values.to(device)) for keys, values in context.layers))


def _apart(context: Context) -> Context:
    """With memory of its own: those that were encoded together leave it one by one."""
    return Context(context.tokens, tuple((keys.clone(), values.clone()) for keys, values in context.layers))


def _size(tier: OrderedDict[str, Context]) -> int:
    return sum(tensor.nbytes for context in tier.values() for pair in context.layers for tensor in pair)
