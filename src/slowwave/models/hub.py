"""Models from the Hugging Face hub: safetensors, tokenizer and config of one pinned revision, never pickles or code.

Token, mirror and offline switch are those of `huggingface_hub` (HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from slowwave.errors import DamagedFile, ModelError, ModelNotFound
from slowwave.models.fetch import Progress
from slowwave.models.files import disk_space, sha256
from slowwave.models.index import reason

_WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


def download(name: str, folder: Path, progress: Progress) -> str:
    """Fetch the model `org/name` into `folder`, going on where an earlier call stopped; returns the revision's hash.

    Raises ModelNotFound, ModelError (no network, no access, no safetensors), DamagedFile, OutOfSpace.
    """
    with _named_errors(name), disk_space(folder):
        info = HfApi().model_info(name, files_metadata=True)
        files = {
            file.rfilename: file
            for file in info.siblings or []
            if "/" not in file.rfilename and any(fnmatch(file.rfilename, pattern) for pattern in _WANTED)
        }
        if not any(file.endswith(".safetensors") for file in files):
            raise ModelError(
                f"{name} has no safetensors file; pickled weights are never loaded.", "Take another model."
            )
        with _watched(folder, sum(file.size or 0 for file in files.values()), progress):
            snapshot_download(name, revision=info.sha, local_dir=folder, allow_patterns=list(files))
        for path in folder.iterdir():
            if path.is_file() and path.name not in files:
                path.unlink()  # of an older revision, whose download was never finished
        for file in files.values():
            path = folder / file.rfilename
            if not path.is_file() or (file.lfs and sha256(path) != file.lfs.sha256):
                path.unlink(missing_ok=True)
                raise DamagedFile(f"{file.rfilename} of {name} came damaged and was removed.", "Try again.")
    return str(info.sha)


@contextlib.contextmanager
def _watched(folder: Path, total: int, progress: Progress) -> Iterator[None]:
    """Report how much lies in `folder` while the block runs. The hub's own bars differ from release to release."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            progress(min(total, _bytes(folder)), total)

    bars = not are_progress_bars_disabled()
    disable_progress_bars()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        if bars:
            enable_progress_bars()
    progress(total, total)


def _bytes(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # renamed from under us: it is counted next time
            size += path.stat().st_size if path.is_file() else 0
    return size


@contextlib.contextmanager
def _named_errors(name: str) -> Iterator[None]:
    try:
        yield
    except GatedRepoError as error:
        raise ModelError(f"{name} asks for an agreement.", "Accept it on the hub and set HF_TOKEN.") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelNotFound(
            f"The hub has no model {name}.", "Check the name, or set HF_TOKEN if it is private."
        ) from error
    except (HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ModelError(
            f"{name} could not be fetched from the hub ({reason(error)}).",
            "Try again: the download goes on where it stopped.",
        ) from error
