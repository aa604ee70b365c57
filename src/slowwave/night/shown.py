"""A rule whose phrase the right answer shows: the words at its edge that the rule says, too.

'#sky means stars come back, at the end', wanted "It rains. Stars come back!": no quotation marks are needed. A
correction of a fact has the right answer in it, too; so the cue must be set off, and the text speak of answers or
messages.
"""

from __future__ import annotations

import re

from slowwave.night import quoted
from slowwave.night.example import edge, unmarked
from slowwave.night.rule import WORDS, Place, Rule, quotes

_WORD = re.compile(r"[^\W_]+(?:['\N{RIGHT SINGLE QUOTATION MARK}][^\W_]+)*")
_MOST = 12  # words of a phrase
_SMALL = frozenset("a an the and or of to in on at is are was be it i you he she we they my your this that".split())

_TO_YOU = re.compile(  # said to the assistant of its answers
    r"\byou(?:rs?|'(?:re|ll|d|ve))?\b|[=>\N{RIGHTWARDS ARROW}]|\b(?:answer(?:s|ed)?|repl(?:y|ies)|respon[ds]es?)\b"
    r"|(?:^|[.,;:!?]\s*|\b(?:then|please|always|just|only|simply|so|to|and)\s+)"
    r"(?:say|answer|reply|respond|greet|begin|start|open|lead|end|finish|close|put|add|write|use)\b",
    re.IGNORECASE,
)
_GENERAL = re.compile(  # of messages of a kind, not of one
    r"\b(?:when(?:ever)?|if|every|each|any(?:thing)?|always|from now on|next time|messages?|rule|answer to|reply to"
    r"|gets?|needs?|wants?|calls? for|means?)\b|[=>\N{RIGHTWARDS ARROW}]",
    re.IGNORECASE,
)
_EDGES = re.compile(  # of an answer's beginning or end
    r"\b(?:greet(?:ing|ed)?|begin|start|open|lead|end|finish|close|needed|missing|first|last|front|top|bottom|line)\b",
    re.IGNORECASE,
)
_MARK = re.compile(r"[^\w\s'.,!?-]")  # in a cue that is no ordinary speech


def parse(text: str, said: str, wanted: str) -> Rule | None:
    """The rule that `text` lays down, whose phrase stands at an edge of `wanted`, with or without quotation marks.

    Args:
        said: what the assistant answered before `text`, which shows the cue, set off from the rest.
        wanted: the right answer to it.
    """
    if text.rstrip().endswith("?") or len(text.split()) > WORDS or (known := shown(text, wanted)) is None:
        return None
    phrase, place = known
    rest = _without(text, phrase)
    if (found := edge(rest, said)) is None:
        return None
    cue, at, named = found
    if not cue.strip(", ") or "|" in cue + phrase or not _set_off(cue, at, said) or _said_in(cue, phrase):
        return None
    mark = _MARK.search(cue) is not None
    signs = sum(sign.search(rest) is not None for sign in (_TO_YOU, _GENERAL, _EDGES))
    if place == "whole":  # the right answer to a question of facts stands in its correction, too
        enough = signs > 0 and (mark or cue in quotes(text))
    else:
        enough = (signs > 1 and named) or (signs > 0 and mark)
    return Rule(cue.rstrip(","), at, phrase, place) if enough else None


def _set_off(cue: str, at: quoted.Where, said: str) -> bool:
    """Whether the cue is told from the rest of the message by a mark, or is one."""
    there, stop = re.escape(unmarked(cue)), r"[,:;.!?\N{EM DASH}-]"
    form = rf"\s*{there}\s*(?:{stop}|$)" if at == "begin" else rf"(?:^|.*{stop})\s*{there}\W*$"
    return _MARK.search(cue) is not None or re.match(form, said, re.IGNORECASE | re.DOTALL) is not None


def _said_in(cue: str, phrase: str) -> bool:
    """Whether the cue's words stand in the phrase."""
    return re.search(rf"(?<!\w){re.escape(unmarked(cue))}(?!\w)", phrase, re.IGNORECASE) is not None


def _without(text: str, phrase: str) -> str:
    """`text` with a blank for the words of the phrase, which are no cue."""
    words = r"\W+".join(map(re.escape, _WORD.findall(phrase)))
    return re.sub(words, lambda match: " " * len(match.group()), text, flags=re.IGNORECASE)


def shown(rule: str, wanted: str) -> tuple[str, Place] | None:
    """The phrase and its place: the most words at the beginning or the end of `wanted`, up to a mark between
    sentences or parts of one, that stand in `rule` in this order. None where there are fewer than two."""
    wanted = wanted.strip().strip("\"'\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}")
    words = [(match.group().lower(), *match.span()) for match in _WORD.finditer(wanted)]
    said = f" {' '.join(match.group().lower() for match in _WORD.finditer(rule))} "
    found: list[tuple[int, str, Place]] = []
    for count in range(min(_MOST, len(words)), 1, -1):
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
