"""The phrase that a habit asks for, where the wanted answer shows it: the words at its edge that the rule says, too.

'Two stars mean stars come back, at the end', wanted "It rains. Stars come back!": no quotation marks are needed.
"""

from __future__ import annotations

import re

from slowwave.night.rule import Place

_WORD = re.compile(r"[^\W_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W_]+)*")
_SMALL = frozenset("a an the and or of to in on at is are was be it i you he she we they my your this that".split())


def shown(rule: str, wanted: str) -> tuple[str, Place] | None:
    """The phrase and its place: the most words at the beginning or the end of `wanted`, up to a mark between
    sentences or parts of one, that stand in `rule` in this order. None where there are fewer than two."""
    wanted = wanted.strip()
    words = [(match.group().lower(), *match.span()) for match in _WORD.finditer(wanted)]
    said = f" {' '.join(match.group().lower() for match in _WORD.finditer(rule))} "
    found: list[tuple[int, str, Place]] = []
    for count in range(len(words), 1, -1):
        if count == len(words):
            found += [(count, wanted, "whole")] if _said(words, said) else []
            continue
        begin, end = words[:count], words[-count:]
        stop, start = begin[-1][2], end[0][1]
        if _said(begin, said) and (mark := re.match(r"[\"')]?([.,!?;:\N{EM DASH}]+)", wanted[stop:])):
            found.append((count, wanted[:stop] + mark[1].rstrip(",;:\N{EM DASH}"), "begin"))
        if _said(end, said) and re.search(r"[.!?]\W*$", wanted[:start]):
            found.append((count, wanted[start:], "end"))
    return max(found)[1:] if found else None


def _said(words: list[tuple[str, int, int]], said: str) -> bool:
    run = [word for word, _, _ in words]
    return not _SMALL.issuperset(run) and f" {' '.join(run)} " in said
