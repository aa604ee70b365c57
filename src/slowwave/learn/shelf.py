"""Encoded contexts on disk: a file each, the ones asked for longest ago deleted first.

It is a cache: a file that is cut short is encoded again, and a disk that is full costs another encoding and no more.
But a file that says it is of another base or of other tokens is refused.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from slowwave.errors import TrainingError
from slowwave.learn.context import Context

_SUFFIX = ".safetensors"


class Shelf:
    """The contexts of one base and template in `folder`, at most so many bytes of them.

    They hold conversations: only their owner may read them.
    """

    def __init__(self, folder: Path, base: str, template: str, most: int) -> None:
        self.folder, self.most = folder, most
        self.made_by = {"base": base, "template": template}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, key: str, tokens: Sequence[int], device: torch.device) -> Context | None:
        """The context called `key`, or None where there is none that can be read.

        Raises:
            TrainingError: it was encoded by another base or template, or is of other tokens.
        """
        path = self.folder / f"{key}{_SUFFIX}"
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt", device=str(device)) as file:
                made_by, names = file.metadata() or {}, list(file.keys())
                found = {name: file.get_tensor(name) for name in names}
            layers = tuple((found[f"{i}.keys"], found[f"{i}.values"]) for i in range(len(names) // 2))
            same = found["tokens"].tolist() == list(tokens)
        except (SafetensorError, OSError, KeyError):
            path.unlink(missing_ok=True)
            return None
        if made_by != self.made_by:
            raise TrainingError(f"The context in {path} was encoded by another base.", "Delete the file.")
        if not same:
            raise TrainingError(f"The context in {path} is of other tokens.", "Delete the file.")
        with contextlib.suppress(OSError):
            os.utime(path)
        return Context(tuple(tokens), layers)

    def write(self, key: str, context: Context) -> None:
        """Keep a context, if there is room for it; whole or not at all."""
        path = self.folder / f"{key}{_SUFFIX}"
        if path.is_file():
            return
        tensors = {"tokens": torch.tensor(context.tokens, dtype=torch.long)}
        for i, (keys, values) in enumerate(context.layers):
            tensors |= {f"{i}.keys": keys.contiguous(), f"{i}.values": values.contiguous()}
        partial = self.folder / f"{key}.{os.getpid()}.partial"
        try:
            save_file(tensors, partial, metadata=self.made_by)
            partial.chmod(0o600)
            partial.replace(path)
        except (SafetensorError, OSError):
            partial.unlink(missing_ok=True)
        self._trim()

    def _trim(self) -> None:
        """What a killed process left half written goes like any other file; another process may trim as well."""
        files = []
        for file in self.folder.glob("*"):  # of a folder that another process deleted: nothing
            with contextlib.suppress(FileNotFoundError):
                files.append((file.stat().st_mtime_ns, file.stat().st_size, file))
        held = sum(size for _, size, _ in files)
        for _, size, file in sorted(files):
            if held <= self.most:
                break
            file.unlink(missing_ok=True)
            held -= size
