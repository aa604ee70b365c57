"""A full-parameter version as its difference to the base: saved, loaded, and swapped in by reference.

The served weights are round(base + difference) in the model's own precision, so they are the same on every load, and
the base's tensors stay untouched in memory: swapping back is exact.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from slowwave.errors import AdapterMismatch, DamagedFile
from slowwave.learn import several

FILE = "difference.safetensors"


def base_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The model's own parameters by their plain names, whether or not adapter layers wrap them."""
    return {key.replace(".base_layer.", "."): value for key, value in model.named_parameters() if "lora_" not in key}


def save(before: dict[str, Tensor], after: dict[str, Tensor], folder: Path) -> None:
    """Write after - before (bfloat16) for every parameter that changed."""
    changed = {key: change(before[key], value) for key, value in after.items()}
    kept = {key: value.to(torch.bfloat16).contiguous() for key, value in changed.items() if bool(value.any())}
    if several.first():
        folder.mkdir(parents=True, exist_ok=True)
        save_file(kept, folder / FILE, metadata={"format": "pt"})


def change(before: Tensor, after: Tensor) -> Tensor:
    """after - before in float32, whole and in the host's memory."""
    return several.whole(after.float() - before.float()).cpu()


def load(model: nn.Module, folder: Path) -> dict[str, Tensor]:
    """The changed parameters' new values, ready for `swap`.

    Raises:
        DamagedFile: the file cannot be read. AdapterMismatch: it does not fit the model.
    """
    try:
        tensors = load_file(folder / FILE)
    except Exception as error:  # safetensors raises its own class
        raise DamagedFile(
            f"{folder / FILE} cannot be read ({error}).", "Undo that night, or restore the file."
        ) from error
    own = base_parameters(model)
    for key, value in tensors.items():
        if key not in own or own[key].shape != value.shape:
            raise AdapterMismatch(
                f"{folder / FILE} has no place for {key} in this model.", "Load the base it was made for."
            )
    return {
        key: (own[key].float() + several.placed(value.float(), own[key])).to(own[key].dtype)
        for key, value in tensors.items()
    }


def swap(model: nn.Module, values: dict[str, Tensor]) -> None:
    """Exchange the model's tensors with `values` by reference, both ways: a second call undoes the first."""
    own = base_parameters(model)
    for key in values:
        own[key].data, values[key] = values[key], own[key].data
