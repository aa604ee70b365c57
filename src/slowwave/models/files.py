"""Files that survive a kill: hashes, atomic writes, and folders that appear whole or not at all.

Knows nothing of models, adapters or nights. Order matters everywhere here: content is on the disk before the name
that points at it is (Pillai et al. 2014, "All File Systems Are Not Created Equal").
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from slowwave.errors import OutOfSpace


def sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_file(path: Path) -> None:
    """The file's bytes are on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(folder: Path) -> None:
    """The folder's list of names is on the disk when this returns (POSIX: a folder is synced like a file)."""
    fsync_file(folder)


def atomic_write(path: Path, data: bytes | str) -> None:
    """Replace `path` by `data` at once: a reader, or a machine that lost power, sees the old content or the new.

    Raises OutOfSpace; the old content then stays.
    """
    content = data.encode() if isinstance(data, str) else data
    with disk_space(path):
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)


def publish(stage: Path, final: Path) -> None:
    """Give the finished folder `stage` its name `final`, everything in it being on the disk first.

    Both must lie in the same file system. Raises FileExistsError if `final` is already there (it is left alone).
    """
    for folder, _, names in os.walk(stage, topdown=False):
        for name in names:
            fsync_file(Path(folder, name))
        fsync_folder(Path(folder))
    try:
        os.rename(stage, final)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, "a version of that name exists", str(final)) from error
        raise
    fsync_folder(final.parent)


def discard(folder: Path) -> None:
    """Remove a folder so that its name vanishes at once, whatever happens while its content is being deleted."""
    grave = folder.with_name(f".discarded-{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):  # it was never there, or somebody else removes the same grave
        os.rename(folder, grave)
        shutil.rmtree(grave)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` inside the block. The kernel frees it when its process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def disk_space(path: Path) -> Iterator[None]:
    """Turn "no space left" inside the block into OutOfSpace, which names the place to make room in."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not isinstance(error, OutOfSpace):
            raise OutOfSpace(f"No disk space left to write {path}.", "Free some space and try again.") from error
        raise
