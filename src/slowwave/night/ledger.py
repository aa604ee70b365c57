"""The ledger of a night: one line per whole phase, with the hashes of what it wrote.

A phase counts only once its line is here and its artifacts still hash to what the line says; everything after the
first phase that does not is done again. Knows nothing of what the phases mean.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from slowwave.models.files import disk_space, fsync_file, fsync_folder, sha256

FILE = "ledger.jsonl"


@dataclass(frozen=True)
class Entry:
    """One whole phase. Times are ISO 8601, UTC; `artifacts` maps paths in the night's folder to their sha256."""

    phase: str
    started: str
    ended: str
    artifacts: dict[str, str] = field(default_factory=dict)


class Ledger:
    """The lines of one night's `ledger.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / FILE

    def entries(self) -> list[Entry]:
        """Every whole line. A line that a crash tore is left out."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found.append(Entry(**json.loads(line)))
            except (ValueError, TypeError):
                continue  # torn: that phase is not whole
        return found

    def whole(self) -> dict[str, Entry]:
        """The phases that need not be done again, up to the first whose artifacts are not what it wrote.

        A phase that was done again makes everything void that had been built on its first result.
        """
        kept: dict[str, Entry] = {}
        for entry in self.entries():
            if entry.phase in kept:
                names = list(kept)
                kept = {name: kept[name] for name in names[: names.index(entry.phase)]}
            kept[entry.phase] = entry
        for name, entry in list(kept.items()):
            if any(not self._same(artifact, digest) for artifact, digest in entry.artifacts.items()):
                names = list(kept)
                return {name: kept[name] for name in names[: names.index(name)]}
        return kept

    def write(self, phase: str, started: str, artifacts: list[str]) -> None:
        """Enter a whole phase. Its artifacts are on the disk before its line is.

        Raises:
            OutOfSpace: the phase is then not whole.
        """
        with disk_space(self.path):
            for name in artifacts:
                fsync_file(self.folder / name)
            for parent in {(self.folder / name).parent for name in artifacts}:
                fsync_folder(parent)
            entry = Entry(phase, started, now(), {name: sha256(self.folder / name) for name in artifacts})
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                line = json.dumps(asdict(entry)).encode() + b"\n"
                os.write(descriptor, b"\n" + line if torn else line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        fsync_folder(self.folder)

    def _same(self, name: str, digest: str) -> bool:
        path = self.folder / name
        return path.is_file() and sha256(path) == digest


def now() -> str:
    """The time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
