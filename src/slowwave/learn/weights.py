"""What a preset trains, and how its result is averaged, scaled back towards the start, and saved.

Slow weights: an exponential average over the steps, then a straight line between the start and that average
(WiSE-FT, arXiv 2109.01903), walked back by the examiner until nothing else is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from slowwave.errors import TrainingError
from slowwave.learn import adapter, difference, several
from slowwave.learn.settings import LearnSettings

NAME = "night"  # the adapter in training; versions that are served have other names


class Weights:
    """The trainable weights of one night inside `model`, which answers with them until `release`."""

    def __init__(self, model: nn.Module, settings: LearnSettings, start: Path | None, seed: int) -> None:
        self.model, self.settings = model, settings
        self.full = settings.preset == "full"
        self.fraction = 1.0
        self.header: list[int] | None = None  # of a reply: an activated adapter acts from these tokens on
        adapter.activate(model, None)
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # A is drawn at random
            self._open(start)
        self.start = {key: value.detach().clone() for key, value in self.trainable.items()}
        self.slow = self.start

    def _open(self, start: Path | None) -> None:
        if self.full:
            own = difference.base_parameters(self.model)
            wanted = self.settings.targets
            self.trainable = {key: value for key, value in own.items() if not wanted or key.split(".")[-2] in wanted}
            _can_change(self.trainable)
            self.base = {key: _kept(value) for key, value in self.trainable.items()}
            changed = _values(self.model, start) if start is not None else {}
            if lost := changed.keys() - self.trainable.keys():
                raise TrainingError(
                    f"learn.targets leaves out {len(lost)} tensors that earlier nights changed.", "Clear learn.targets."
                )
            for key, parameter in self.trainable.items():
                # float32 masters (autocast computes in bf16), and a copy where the base is float32 itself
                _put(parameter, changed.get(key, parameter.data).to(torch.float32, copy=True))
            return
        self.config = lora_config(self.settings, self.model, start)
        self.header = self.config.alora_invocation_tokens
        if start is not None:
            adapter.load(self.model, NAME, start, everywhere=True)
        else:
            adapter.inject(self.model, self.config, NAME)
        adapter.activate(self.model, NAME)
        self.trainable = adapter.parameters(self.model, NAME)

    def average(self, decay: float, step: int) -> None:
        """Fold the current weights into the slow ones; early steps weigh more, so that the start is soon forgotten."""
        keep = min(decay, (1 + step) / (10 + step))
        if self.slow is self.start:
            self.slow = {key: value.clone() for key, value in self.start.items()}
        for key, value in self.trainable.items():
            self.slow[key].lerp_(value.detach(), 1 - keep)

    def finish(self) -> None:
        """Training is over: the slow weights (or, without averaging, the last ones) are the result."""
        if not self.settings.ema or self.slow is self.start:
            self.slow = {key: value.detach().clone() for key, value in self.trainable.items()}
        self.at(1.0)

    def at(self, fraction: float) -> None:
        """Answer with start + fraction * (result - start).

        On an adapter's first night B starts at zero, so A is taken from the result and B alone is scaled: the line is
        straight in the weights B A. On later nights A and B move together, and it is straight in them, not in B A.
        """
        self.fraction = fraction
        first = not self.full and not any(bool(v.any()) for key, v in self.start.items() if "lora_B" in key)
        for key, value in self.trainable.items():
            whole = first and "lora_A" in key
            value.data.copy_(torch.lerp(self.start[key], self.slow[key], 1.0 if whole else fraction))

    def save(self, folder: Path) -> dict[str, float]:
        """Write the version as it answers now, as a PEFT adapter, and for `full` the exact difference beside it.

        Of several processes all call it, and the first one writes.

        Returns:
            bytes written, and for `full` the share of the change's energy that the low-rank export keeps.
        """
        if self.full:
            after: dict[str, Tensor] = {key: value.data for key, value in self.trainable.items()}
            difference.save(self.base, after, folder)
            from slowwave.learn.export import low_rank

            kept = low_rank(self.base, after, self.settings.rank, folder)
        else:
            config = copy(self.config)
            config.alora_invocation_tokens = self.header
            if several.first():
                adapter.save(self.model, NAME, config, folder)
            kept = 1.0
        several.wait()
        size = sum(file.stat().st_size for file in folder.iterdir())
        return {"bytes": float(size), "energy_kept": kept}

    def release(self) -> None:
        """Give the model back as it was: the base alone answers."""
        if self.full:
            for key, parameter in self.trainable.items():
                _put(parameter, self.base[key])
                parameter.grad = None
                parameter.requires_grad_(False)
        else:
            adapter.remove(self.model, NAME)
            adapter.activate(self.model, None)


def _values(model: nn.Module, start: Path) -> dict[str, Tensor]:
    """The tensors that version `start` changes, as it answers with them: its difference, or its adapter merged in."""
    if (start / difference.FILE).is_file():
        return difference.load(model, start)
    config = adapter.load(model, NAME, start, everywhere=True)
    if config.alora_invocation_tokens:
        adapter.remove(model, NAME)
        raise TrainingError(
            "The served version acts from a reply's header on; all parameters act everywhere.",
            "Set learn.preset to adapter, or undo the nights before.",
        )
    own = difference.base_parameters(model)
    merged = {
        f"{path}.weight": _plus(own[f"{path}.weight"], cast("Any", layer).get_delta_weight(NAME).detach())
        for path, layer in model.named_modules()
        if isinstance(layer, LoraLayer) and NAME in layer.lora_A
    }
    adapter.remove(model, NAME)
    adapter.activate(model, None)
    return merged


def _plus(own: Tensor, change: Tensor) -> Tensor:
    return own.detach().float() + several.placed(change, own)


def _can_change(parameters: Mapping[str, Tensor]) -> None:
    """Raises: TrainingError: parameters lie in parts, which FSDP2 keeps in the memory they have, and not as masters."""
    if any(several.lies_in_parts(one) and one.dtype != torch.float32 for one in parameters.values()):
        raise TrainingError(
            "Layers in several processes are trained in the precision they have.", "Load them in float32 first."
        )


def _kept(parameter: nn.Parameter) -> Tensor:
    """Its values, for `_put` to bring back."""
    return parameter.detach().clone() if several.lies_in_parts(parameter) else parameter.data


def _put(parameter: nn.Parameter, value: Tensor) -> None:
    """Give it other values: other memory, but where FSDP2 reads the memory that it was made with."""
    if several.lies_in_parts(parameter):
        parameter.data.copy_(value)
    else:
        parameter.data = value


_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def lora_config(settings: LearnSettings, model: Any, start: Path | None = None) -> LoraConfig:
    """PEFT's configuration of the preset; no `targets` means every linear layer but the output head.

    Of a night that goes on from version `start` it is that version's: its shape, and where it acts, is what was
    promoted, whatever the settings say now.

    Raises:
        TrainingError: that version is no adapter.
    """
    if start is not None:
        if (start / difference.FILE).is_file():
            raise TrainingError(
                "The served version changed all parameters; an adapter cannot go on from it.",
                "Set learn.preset to full, or undo the nights before.",
            )
        return adapter.read_config(start)
    count = model.config.num_hidden_layers
    first = count - max(1, round(settings.depth * count))
    return LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, task_type="CAUSAL_LM", bias="none",  # type: ignore[arg-type]
        target_modules=list(settings.targets) or _LINEAR,
        layers_to_transform=list(range(first, count)) if first else None,
    )  # fmt: skip


def first_trained(config: LoraConfig) -> int:
    """The lowest layer that an adapter changes: those below stay the base's."""
    layers = config.layers_to_transform
    return layers if isinstance(layers, int) else min(layers or [0])
