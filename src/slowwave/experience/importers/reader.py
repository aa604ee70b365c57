"""Which format a file has, and its records one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from slowwave.errors import ImportFailed, UsageError
from slowwave.experience.importers import chatgpt, exchange, sage, sage_exercises
from slowwave.experience.importers.conversation import Broken, Rejected
from slowwave.experience.importers.stream import Value, elements, lines
from slowwave.records import Experience

SAMPLE = 20  # records to look at before giving up on a format
HINT = "It reads JSONL with one exchange a line, ChatGPT's conversations.json and SAGE's buffers; see docs/formats.md."


class Format(NamedTuple):
    """How a file is cut into records, how a record is known, and what makes experiences of it."""

    array: bool
    keys: frozenset[str]
    convert: Callable[[dict[str, Any], str], Iterator[Experience]]


FORMATS = {
    "exchange": Format(False, frozenset({"messages"}), exchange.convert),
    "chatgpt": Format(True, frozenset({"mapping"}), chatgpt.convert),
    "sage": Format(True, frozenset({"prompt", "response"}), sage.convert),
    "sage-exercises": Format(False, frozenset({"prompt", "response"}), sage_exercises.convert),
}


def read(path: str | Path, format: str | None = None, persona: str = "default") -> Iterator[Experience | Rejected]:
    """The experiences of a file, and what could not be read of it, in its order.

    Raises ImportFailed for a file that cannot be opened, is empty or binary, or of which nothing could be read
    (then after all its rejected lines); UsageError for an unknown format.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise UsageError(f"There is no format {format!r}.", f"Use one of: {', '.join(FORMATS)}.")
    chosen = FORMATS[format or detect(path)]
    first: Rejected | None = None
    found = False
    for value in _values(path, chosen.array):
        try:
            if isinstance(value, Rejected):
                raise Broken(value.why)
            if not isinstance(value.json, dict):
                raise Broken("no JSON object")
            made = list(chosen.convert(value.json, persona))  # all of a record or nothing
        except Broken as error:
            rejected = Rejected(value.line, str(error))
            first = first or rejected
            yield rejected
        else:
            found = True
            yield from made
    if not found:
        why = f"line {first.line}: {first.why}" if first else "it holds no records"
        raise ImportFailed(f"Nothing in {path} can be read as an exchange ({why}).", HINT)


def detect(path: Path) -> str:
    """The format of a file, by its content. Raises ImportFailed where there is no telling."""
    try:
        with path.open("rb") as file:
            start = file.read(65536)
    except OSError as error:
        raise ImportFailed(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise ImportFailed(f"{path} is empty.", HINT)
    if b"\x00" in start or not _is_mostly_text(text):
        raise ImportFailed(f"{path} is a binary file.", HINT)
    array = text.startswith(b"[")
    seen: set[str] = set()
    for value in itertools.islice(_values(path, array), SAMPLE):
        if isinstance(value, Value) and isinstance(value.json, dict):
            seen |= set(value.json)
            for name, format in FORMATS.items():
                if format.array == array and format.keys <= set(value.json):
                    return name
    if array or seen:
        keys = f" (its records have {', '.join(sorted(seen)[:6])})" if seen else ""
        raise ImportFailed(f"{path} has no format that we know{keys}.", HINT)
    return "exchange"  # lines that are no JSON: read them as exchanges, so that each is reported with its reason


def _values(path: Path, array: bool) -> Iterator[Value | Rejected]:
    try:
        if array:
            with path.open(encoding="utf-8-sig", errors="surrogateescape") as text:
                yield from elements(text)
        else:
            with path.open("rb") as file:
                yield from lines(file)
    except OSError as error:
        raise ImportFailed(f"{path} cannot be read: {error.strerror}.", "Check the path and the disk.") from error


def _is_mostly_text(start: bytes) -> bool:
    control = sum(byte < 9 or 13 < byte < 32 for byte in start)
    broken = start.decode("utf-8", "replace").count("\ufffd")
    return control + broken < 0.1 * len(start) + 1
