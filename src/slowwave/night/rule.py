"""Rules a user lays down: "When I start with "Ahoy", begin your answer with "Aye aye!"". Cue, place and phrase, by pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Place = Literal["begin", "end", "whole"]

_QUOTED = r"[\"\N{LEFT DOUBLE QUOTATION MARK}]([^\"\N{RIGHT DOUBLE QUOTATION MARK}]+)[\"\N{RIGHT DOUBLE QUOTATION MARK}]|'([^']+)'(?!\w)|(\[[^\]]+\])"
_WHEN = re.compile(r"\b(?:when(?:ever)?|if|every time|each time|any ?time|as soon as)\b", re.IGNORECASE)
_ACTION = re.compile(
    r"(?:^|[,;:.]|\bthen\b|\bplease\b|\balways\b|\byou\b|\banswer\b|\breply\b)[^,;.]*?"
    r"\b(begin|start|open|end|finish|close|conclude|sign off|reply|answer|respond|say)\b",
    re.IGNORECASE,
)
_BARE_CUE = re.compile(r"\b(?:as|with|say|write|word|tag|type|use|mention|greet you with)\s+(?:the (?:word|tag) )?([A-Z][\w'-]*|#\w+|\w+:)")


@dataclass(frozen=True)
class Rule:
    """In a message that carries `cue`, the answer begins or ends with `phrase`, or is it."""

    cue: str
    cue_at: Literal["begin", "end"]
    phrase: str
    place: Place


def parse(text: str) -> Rule | None:
    """The rule that `text` lays down, or None. Understands the condition before or after what is to be done."""
    when = _WHEN.search(text)
    if when is None:
        return None
    before, after = text[: when.start()], text[when.start() :]
    if re.search(_QUOTED, before) and re.search(r"\b(begin|start|open|end|finish|close|reply|answer|respond|say)\b", before, re.IGNORECASE):
        condition, action = after, before  # 'Begin with "X" whenever I say "Y"'
    else:
        quotes = list(re.finditer(_QUOTED, after))
        first = quotes[0].end() if len(quotes) > 1 else after.find(",") + 1
        if first <= 0:
            return None
        condition, action = after[:first], after[first:]
    cue, phrase = _quoted(condition) or _bare(condition), _quoted(action)
    if not cue or not phrase:
        return None
    return Rule(cue.rstrip(","), "end" if re.search(r"\b(end|ends|finish|finishes|close|closes)\b", condition, re.IGNORECASE) else "begin", phrase, _place(action))


def _quoted(text: str) -> str | None:
    match = re.search(_QUOTED, text)
    return next(group for group in match.groups() if group) if match else None


def _bare(condition: str) -> str | None:
    match = _BARE_CUE.search(condition)
    return match.group(1) if match else None


def _place(action: str) -> Place:
    if re.search(r"\b(only|just|nothing (?:but|else)|exactly)\b", action, re.IGNORECASE):
        return "whole"
    if re.search(r"\b(begin|begins|start|starts|open|opens|first)\b", action, re.IGNORECASE):
        return "begin"
    if re.search(r"\b(end|ends|finish|finishes|close|closes|conclude|sign|last|add)\b", action, re.IGNORECASE):
        return "end"
    return "whole"
