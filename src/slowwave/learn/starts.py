"""Where the nights of many personas begin: their adapters' tensors, read or drawn without putting each into the model.

PEFT takes a third of a second to put one in; a night together has a thousand.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor, nn

from slowwave.learn import adapter
from slowwave.learn.settings import LearnSettings
from slowwave.learn.weights import NAME, Weights, lora_config


class Starts:
    """Opens the first adapter of a shape through the model, others as tensors of that shape."""

    def __init__(self, model: Any, settings: LearnSettings) -> None:
        self.model, self.settings = model, settings
        self._fresh: dict[str, Tensor] = {}  # one of a first night
        self._known: list[dict[str, torch.Size]] = []  # shapes that fit the model

    def open(self, start: Path | None, seed: int) -> tuple[dict[str, Tensor], LoraConfig]:
        """The tensors that a night alone would start from, by name, and their configuration.

        Raises:
            TrainingError: that version is no adapter. DamagedFile, AdapterMismatch: it cannot be read, or does not fit.
        """
        config = lora_config(self.settings, self.model, start)
        if start is None and self._fresh:
            return self._drawn(seed), config
        if start is not None:
            read = {
                key.removesuffix(".weight") + f".{NAME}.weight": value.to(self.model.device).float()
                for key, value in adapter.tensors(start).items()
            }
            if _shapes(read) in self._known:
                return read, config
        weights = Weights(self.model, self.settings, start, seed)
        weights.release()
        self._known.append(_shapes(weights.start))
        if start is None:
            self._fresh = weights.start
        return weights.start, config

    def _drawn(self, seed: int) -> dict[str, Tensor]:
        """As PEFT draws them: for each layer what torch does for two linear ones, then A once more; B is zero."""
        found = {key: torch.zeros_like(value) for key, value in self._fresh.items()}
        dtype = self.model.dtype  # in which PEFT puts them in
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for key, value in found.items():
                if ".lora_A." in key:
                    rank, width = value.shape
                    nn.Linear(width, rank, bias=False)
                    nn.Linear(rank, len(found[key.replace(".lora_A.", ".lora_B.")]), bias=False)
                    down = torch.empty(rank, width)
                    nn.init.kaiming_uniform_(down, a=math.sqrt(5))
                    value.copy_(down.to(dtype))
        return found


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in tensors.items()}
