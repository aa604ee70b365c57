"""Low-rank adapters inside a model: put in, switch, take out, save, load.

Works on the plain transformers model through PEFT's layers, so one copy of the base weights carries any number of
adapters. Knows nothing of personas, registries or nights. Files are PEFT's own (safetensors, never pickles).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from slowwave.errors import AdapterMismatch, DamagedFile
from slowwave.learn.fused import fuse
from slowwave.learn.invocation import watch

_PREFIX = "base_model.model."  # PEFT's files name tensors as seen from its wrapper, which we do not use


def layers(model: nn.Module) -> list[BaseTunerLayer]:
    """Every layer of `model` that carries adapters."""
    return [module for module in model.modules() if isinstance(module, BaseTunerLayer)]


def inject(model: nn.Module, config: LoraConfig, name: str) -> None:
    """Put a fresh adapter called `name` into `model`: A random, B zero, weights in float32, not yet active."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several adapters are what we want
        inject_adapter_in_model(config, model, adapter_name=name)
    fuse(model)
    if config.alora_invocation_tokens:
        watch(model, name, layers(model))
    for parameter in parameters(model, name).values():
        parameter.data = parameter.data.float()
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def parameters(model: nn.Module, name: str) -> dict[str, nn.Parameter]:
    """The adapter's own parameters by their name in the model."""
    return {key: value for key, value in model.named_parameters() if "lora_" in key and f".{name}." in key}


def activate(model: nn.Module, name: str | None) -> None:
    """Let `name` answer; None silences every adapter, so that the base answers alone."""
    for layer in layers(model):
        layer.enable_adapters(name is not None)
        if name is not None:
            layer.set_adapter([name])
    for parameter in model.parameters():
        parameter.requires_grad_(False)  # PEFT makes the active adapter trainable; training asks for it by itself


@contextmanager
def silent(model: nn.Module) -> Iterator[None]:
    """Inside the block the base answers alone; then everything is as before, and what trains goes on training."""
    trained = {parameter: parameter.requires_grad for parameter in model.parameters()}
    speaking = [layer for layer in layers(model) if not layer.disable_adapters]
    for layer in speaking:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in speaking:
            layer.enable_adapters(True)
        for parameter, wanted in trained.items():
            parameter.requires_grad_(wanted)


def remove(model: nn.Module, name: str) -> None:
    """Take the adapter out again and free its memory."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Adapter .* was active which is now deleted")  # the caller activates
        for layer in layers(model):
            layer.delete_adapter(name)
    getattr(model, "peft_config", {}).pop(name, None)


def state(model: nn.Module, name: str) -> dict[str, Tensor]:
    """The adapter's tensors under PEFT's file names, on the CPU."""
    found = get_peft_model_state_dict(model, adapter_name=name)
    return {f"{_PREFIX}{key.removeprefix(_PREFIX)}": value.detach().cpu().contiguous() for key, value in found.items()}


def save(model: nn.Module, name: str, config: LoraConfig, folder: Path) -> None:
    """Write `adapter_model.safetensors` (bfloat16) and `adapter_config.json`: what PEFT and its exports read."""
    folder.mkdir(parents=True, exist_ok=True)
    rounded = {key: value.to(torch.bfloat16) for key, value in state(model, name).items()}
    save_file(rounded, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(folder))


def read_config(folder: Path) -> LoraConfig:
    """The configuration of the adapter in `folder`. Raises DamagedFile, AdapterMismatch."""
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except Exception as error:  # json and PEFT raise many kinds; all mean the same to the user
        raise _unreadable(folder, error) from error
    if not isinstance(config, LoraConfig):
        raise AdapterMismatch(f"The adapter in {folder} is no LoRA adapter.", "Only LoRA adapters can be served.")
    return config


def tensors(folder: Path) -> dict[str, Tensor]:
    """Those of the adapter in `folder`, by PEFT's names inside a model. Raises DamagedFile."""
    try:
        read = load_file(folder / "adapter_model.safetensors")
    except Exception as error:  # safetensors raises many kinds, too
        raise _unreadable(folder, error) from error
    return {key.removeprefix(_PREFIX): value for key, value in read.items()}


def _unreadable(folder: Path, error: Exception) -> DamagedFile:
    return DamagedFile(f"The adapter in {folder} cannot be read ({error}).", "Undo that night, or restore the file.")


def load(
    model: nn.Module, name: str, folder: Path, dtype: torch.dtype = torch.float32, *, everywhere: bool = False
) -> LoraConfig:
    """Put the adapter of `folder` into `model` as `name`. Returns its configuration as the file has it.

    Args:
        everywhere: let an activated adapter act on all tokens that are read: training reads none before the header.
        dtype: of its weights: float32 to train on, the model's own to answer with. Beside a bfloat16 base float32 ones
            take half as long again (64 answers of 48 tokens on two cores with AMX: 11 s against 7.5; the base 6).

    Raises:
        DamagedFile: a file is missing or cannot be read.
        AdapterMismatch: the tensors do not fit this model.
    """
    config, own = read_config(folder), tensors(folder)
    try:
        acting = copy(config)
        acting.alora_invocation_tokens = None if everywhere else config.alora_invocation_tokens
        inject(model, acting, name)
        shapes = {key: value.shape for key, value in state(model, name).items()}
        wrong = [key for key, value in own.items() if shapes.get(_PREFIX + key) != value.shape]
        if wrong or len(shapes) != len(own):
            raise ValueError(f"{len(wrong) or 'some'} tensors have no place in the model")
        # PEFT keeps parameters it loads in their file's type; ours stay float32, so copy values
        set_peft_model_state_dict(model, {key: value.float() for key, value in own.items()}, adapter_name=name)
    except ValueError as error:
        remove(model, name)
        raise AdapterMismatch(
            f"The adapter in {folder} does not fit this model: {error}.", "Load the base it was made for."
        ) from error
    for parameter in parameters(model, name).values():
        parameter.data = parameter.data.to(dtype)
    return config
