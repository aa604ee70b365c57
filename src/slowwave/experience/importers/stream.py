"""JSON values from a file, one after the other and never the whole file: lines, or the elements of one array."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, TextIO

from slowwave.experience.importers.conversation import Rejected

MAX_RECORD = 64 * 2**20  # bytes of one line, characters of one element: what is held in memory at once
CHUNK = 2**20
_GAP = re.compile(r"[\s,]*")


class Value(NamedTuple):
    """A JSON value, and the line or element where it stands, counted from 1."""

    line: int
    json: object


def lines(file: BinaryIO) -> Iterator[Value | Rejected]:
    """One value a line; empty lines are passed over, broken ones reported."""
    number = 0
    while raw := file.readline(MAX_RECORD):
        number += 1
        if len(raw) == MAX_RECORD and not raw.endswith(b"\n"):
            while (rest := file.readline(MAX_RECORD)) and not rest.endswith(b"\n"):
                pass
            yield Rejected(number, f"the line is longer than {MAX_RECORD // 2**20} MiB")
            continue
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if text:
                yield Value(number, json.loads(text))
        except (ValueError, RecursionError) as error:
            yield Rejected(number, reason(error))


def elements(file: TextIO) -> Iterator[Value | Rejected]:
    """The elements of one JSON array. After a broken element nothing can be found any more, so it is the last.

    The file is opened with `errors="surrogateescape"`: bytes that are no UTF-8 spoil only the element they are in.
    """
    decoder = json.JSONDecoder()
    text, position, size = file.read(CHUNK).lstrip().removeprefix("["), 0, CHUNK
    number = 1
    while True:
        position = _GAP.match(text, position).end()  # type: ignore[union-attr]  # it matches the empty text too
        if text.startswith("]", position):
            return
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            # An element is parsed again with every piece that is added: doubling the pieces keeps that linear.
            piece = file.read(size) if len(text) - position < MAX_RECORD else ""
            if isinstance(error, RecursionError) or not piece:
                yield Rejected(number, f"the list cannot be read from here on: {reason(error)}")
                return
            text, position, size = text[position:] + piece, 0, 2 * size
        else:
            yield Value(number, value)
            number, size = number + 1, CHUNK


def reason(error: Exception) -> str:
    """Why a line is no JSON, in words."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 (byte {error.object[error.start]:#04x})"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    return "nested too deeply" if isinstance(error, RecursionError) else f"not JSON: {error}"
