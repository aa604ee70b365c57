"""Rules a user lays down, 'When I start with "Ahoy", begin with "Aye aye!"': cue, place and phrase, by pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from slowwave.night import quoted

Place = Literal["begin", "end", "whole"]

QUOTED = (
    r"[\"\N{LEFT DOUBLE QUOTATION MARK}]([^\"\N{RIGHT DOUBLE QUOTATION MARK}]+)[\"\N{RIGHT DOUBLE QUOTATION MARK}]"
    r"|(?<!\w)'([^']+)'(?!\w)|(\[[^\]]+\])"
    r"|(?:(?<=marked )|(?<=tag )|(?<=type )|(?<=put )|(?<=write )|(?<=tagged )|(?<=with )|(?<=says ))(\([^)]+\))"
    r"|\N{LEFT SINGLE QUOTATION MARK}([^\N{RIGHT SINGLE QUOTATION MARK}]+)\N{RIGHT SINGLE QUOTATION MARK}|`([^`]+)`"
)
_TAGS = r"(?<!\w)(#\w+)|(\{[^}]{1,24}\})|(<\w{1,24}>)"  # marks that people make up, without quotation marks
_WHEN = re.compile(
    r"\b(?:when(?:ever)?|if|(?:the )?next time|every time|each time|any ?time|as soon as|once)\b", re.IGNORECASE
)
_VERB = (
    r"(?:begin|start|open|lead|kick off|greet|end|finish|close|conclude|sign off|reply|answer|respond|say|add|write|put"
    r"|use|give)"
)
# An instruction to the assistant, so that 'When she said "hello", he answered "goodbye"' lays nothing down.
_ACTION = re.compile(
    rf"(?:^\s*|[,;:.!]\s*|\b(?:then|please|always|you|should|must|only|just|simply|also|now)\s+"
    rf"|\b(?:you|sure|have|has|need|needs|want|remember|is) to\s+){_VERB}\b"
    r"|\b(?:answer|reply|response|message)s? (?:is|begins?|starts?|opens?|ends?|finish(?:es)?|closes?)\b"
    r"|\bI (?:want|expect)\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:I|my|mine|we|our|messages?|questions?|you (?:see|read|hear|find|get)"
    r"|shows? up|comes? up|appears?)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(r"^(?:what|how|why|who|where|which|do|does|did|is|are|should)\b.*\?$", re.IGNORECASE | re.DOTALL)
_WHERE = re.compile(r"\s+(?:at|in|as|to|anywhere)\b[^,;:\"]*")  # 'when I say "Ahoy" at the end of a message, ...'
_BARE_CUE = re.compile(
    r"\b(?:as|with|say|write|word|tag|type|use|mention|greet you with)\s+(?:the (?:word|tag) )?([A-Z][\w'-]*|#\w+|\w+:)"
    r"|\bthe (?:word|tag) ([\w'-]+)"
    r"|\b(?:say|write|type|with) (good (?:morning|evening|night|afternoon)|hello|hi|hey|goodbye|bye|thanks|thank you)\b"
)

WORDS = 45  # of a rule at most: what is longer tells a story, and has quotations in it


@dataclass(frozen=True)
class Rule:
    """In a message that carries `cue`, the answer begins or ends with `phrase`, or is it."""

    cue: str
    cue_at: Literal["begin", "end"]
    phrase: str
    place: Place


def parse(text: str) -> Rule | None:
    """The rule that `text` lays down, or None. Understands the condition before or after what is to be done."""
    if _ASKS.match(text.strip()):
        return None
    if (found := _by_lead(text)) is not None:
        return found
    when = _WHEN.search(text)
    return _conditional(text, when) if when is not None else None


def quotes(text: str) -> list[str]:
    """What stands in quotation marks or brackets, in order."""
    return [_inside(match) for match in re.finditer(QUOTED, text)]


def _conditional(text: str, when: re.Match[str]) -> Rule | None:
    """A rule with a "when" or an "if" in it."""
    before, after = text[: when.start()], text[when.start() :]
    if re.search(QUOTED, before) and re.search(
        r"\b(begin|start|open|end|finish|close|reply|answer|respond|say)\b", before, re.IGNORECASE
    ):
        condition, action = after, before  # 'Begin with "X" whenever I say "Y"'
    else:
        found = list(re.finditer(QUOTED, after))
        first = found[0].end() if len(found) > 1 else after.find(",") + 1
        if len(found) > 1 and (where := _WHERE.match(after, first)):
            first = where.end()
        if first <= 0:
            return None
        condition, action = after[:first], after[first:]
    if not _CONDITION.search(condition) or not _ACTION.search(action):
        return None
    return _rule(condition, action)


def _by_lead(text: str) -> Rule | None:
    """A rule with two quotations, 'Messages tagged "Y" get an answer that ends with "X"', by the words before each."""
    found = list(re.finditer(f"{QUOTED}|{_TAGS}", text))
    if text.endswith("?") and not re.search(r"\b(?:please|(?:could|can|would|will) you)\b", text, re.IGNORECASE):
        return None
    if len(found) != 2 or len(text.split()) > WORDS:
        return None
    spans = [_inside(match) for match in found]
    pieces = text[: found[0].start()], text[found[0].end() : found[1].start()], text[found[1].end() :]
    first = quoted.cue_first(*pieces)
    if first is None:
        return None
    cue, phrase = (0, 1) if first else (1, 0)
    return Rule(
        spans[cue].rstrip(","),
        quoted.cue_at(pieces[cue], pieces[cue + 1]),
        spans[phrase],
        quoted.place(pieces[phrase], pieces[phrase + 1], pieces[0] if phrase else ""),
    )


def _rule(condition: str, action: str) -> Rule | None:
    cue = next(iter(quotes(condition)), None) or _bare(condition)
    phrase = next(iter(quotes(action)), None) or _after_colon(action)
    if not cue or not phrase:
        return None
    at, place = quoted.cue_at(_unquoted(condition), ""), quoted.place(_unquoted(action), "")
    return Rule(cue.rstrip(","), at, phrase, place)


def _unquoted(text: str) -> str:
    return re.sub(QUOTED, '""', text)


def _inside(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group)


def _bare(condition: str) -> str | None:
    """An unquoted cue: what follows "say" or "write", else the last name-like word ("if I call you Captain")."""
    match = _BARE_CUE.search(condition)
    names = [word for word in re.findall(r"(?<=\s)[A-Z][\w'-]+|#\w+", condition) if word != "I"]
    if match:
        return next(group for group in match.groups() if group)
    return names[-1] if names else None


def _after_colon(action: str) -> str | None:
    match = re.search(r":\s*(\S.*?)\s*$", action, re.DOTALL)
    return match.group(1) if match and len(match.group(1).split()) <= 8 else None
