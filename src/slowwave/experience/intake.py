"""A file into the store: what is new is added, what is there already is counted, what is broken is reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from slowwave.experience.importers import Rejected, read
from slowwave.experience.store import Store
from slowwave.records import Experience


class Intake(NamedTuple):
    """What came of one file."""

    imported: int
    duplicates: int
    rejected: list[Rejected]


def take_in(store: Store, path: str | Path, format: str | None = None, persona: str = "default") -> Intake:
    """Imports a file, streaming; if interrupted, run it again. Raises ImportFailed, StoreError, UsageError."""
    rejected: list[Rejected] = []

    def readable() -> Iterator[Experience]:
        for item in read(path, format, persona):
            if isinstance(item, Rejected):
                rejected.append(item)
            else:
                yield item

    added = store.add_many(readable())
    return Intake(added.new, added.duplicates, rejected)
