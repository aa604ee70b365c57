"""Rules a user lays down, 'When I start with "Ahoy", begin with "Aye aye!"': cue, place and phrase, by pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Place = Literal["begin", "end", "whole"]

_QUOTED = (
    r"[\"\N{LEFT DOUBLE QUOTATION MARK}]([^\"\N{RIGHT DOUBLE QUOTATION MARK}]+)[\"\N{RIGHT DOUBLE QUOTATION MARK}]"
    r"|(?<!\w)'([^']+)'(?!\w)|(\[[^\]]+\])|(?:(?<=marked )|(?<=tagged )|(?<=with )|(?<=says ))(\([^)]+\))"
    r"|\N{LEFT SINGLE QUOTATION MARK}([^\N{RIGHT SINGLE QUOTATION MARK}]+)\N{RIGHT SINGLE QUOTATION MARK}|`([^`]+)`"
)
_WHEN = re.compile(r"\b(?:when(?:ever)?|if|every time|each time|any ?time|as soon as)\b", re.IGNORECASE)
_VERB = r"(?:begin|start|open|end|finish|close|conclude|sign off|reply|answer|respond|say|add|write|put|use|give)"
# An instruction to the assistant, so that 'When she said "hello", he answered "goodbye"' lays nothing down.
_ACTION = re.compile(
    rf"(?:^\s*|[,;:.!]\s*|\b(?:then|please|always|you|should|must|only|just|simply|also|now)\s+"
    rf"|\b(?:you|sure|have|has|need|needs|want|remember|is) to\s+){_VERB}\b"
    r"|\b(?:answer|reply|response|message)s? (?:is|begins?|starts?|opens?|ends?|finish(?:es)?|closes?)\b"
    r"|\bI (?:want|expect)\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:I|my|mine|we|our|messages?|questions?|you (?:see|read|hear|find|get))\b", re.IGNORECASE)
_ABOUT_USER = re.compile(r"\b(?:I|me|my|mine|messages?|questions?|tag(?:ged)?|notes? of mine)\b", re.IGNORECASE)
_ABOUT_ANSWER = re.compile(r"\b(?:you|your|answers?|answered|repl(?:y|ies|ied)|respon(?:d|ds|se))\b", re.IGNORECASE)
_ORDERS = re.compile(
    r"\b(?:begins?|starts?|opens?|ends?|finish(?:es)?|closes?|repl(?:y|ies)|answers?|answered|respond|say|add|get|gets)\b"
)
_ASKS = re.compile(r"^(?:what|how|why|who|where|which|do|does|did|is|are|should)\b.*\?$", re.IGNORECASE | re.DOTALL)
_WHERE = re.compile(r"\s+(?:at|in|as|to|anywhere)\b[^,;:\"]*")  # 'when I say "Ahoy" at the end of a message, ...'
_BARE_CUE = re.compile(
    r"\b(?:as|with|say|write|word|tag|type|use|mention|greet you with)\s+(?:the (?:word|tag) )?([A-Z][\w'-]*|#\w+|\w+:)"
)


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
    when = _WHEN.search(text)
    return (_conditional(text, when) if when is not None else None) or _by_halves(text)


def _conditional(text: str, when: re.Match[str]) -> Rule | None:
    """A rule with a "when" or an "if" in it."""
    before, after = text[: when.start()], text[when.start() :]
    if re.search(_QUOTED, before) and re.search(
        r"\b(begin|start|open|end|finish|close|reply|answer|respond|say)\b", before, re.IGNORECASE
    ):
        condition, action = after, before  # 'Begin with "X" whenever I say "Y"'
    else:
        quotes = list(re.finditer(_QUOTED, after))
        first = quotes[0].end() if len(quotes) > 1 else after.find(",") + 1
        if len(quotes) > 1 and (where := _WHERE.match(after, first)):
            first = where.end()
        if first <= 0:
            return None
        condition, action = after[:first], after[first:]
    if not _CONDITION.search(condition) or not _ACTION.search(action):
        return None
    return _rule(condition, action)


def _by_halves(text: str) -> Rule | None:
    """A rule without a condition word, 'Messages tagged "Y" get an answer that ends with "X"': two quotations, of
    which the one among words about the user's message is the cue."""
    quotes = list(re.finditer(_QUOTED, text))
    if len(quotes) != 2:
        return None
    between = re.search(
        r"[,;:.]|\b(?:should|gets?|must|then|your?|answers?|reply|replies|respond)\b",
        text[quotes[0].end() : quotes[1].start()],
    )
    middle = quotes[0].end() + (between.start() if between else 0)
    halves = [text[:middle], text[middle:]]
    about = [len(_ABOUT_USER.findall(_unquoted(half))) - len(_ABOUT_ANSWER.findall(_unquoted(half))) for half in halves]
    if about[0] == about[1]:
        return None
    condition, action = halves if about[0] > about[1] else halves[::-1]
    if (
        not _ABOUT_USER.search(_unquoted(condition))
        or not _ABOUT_ANSWER.search(_unquoted(action))
        or not _ORDERS.search(action)
    ):
        return None
    return _rule(condition, action)


def _rule(condition: str, action: str) -> Rule | None:
    cue, phrase = _quoted(condition) or _bare(condition), _quoted(action) or _after_colon(action)
    if not cue or not phrase:
        return None
    ends = re.search(r"\b(end|ends|finish|finishes|close|closes)\b", _unquoted(condition), re.IGNORECASE)
    return Rule(cue.rstrip(","), "end" if ends else "begin", phrase, _place(_unquoted(action)))


def _unquoted(text: str) -> str:
    return re.sub(_QUOTED, '""', text)


def _quoted(text: str) -> str | None:
    match = re.search(_QUOTED, text)
    return next(group for group in match.groups() if group) if match else None


def _bare(condition: str) -> str | None:
    """An unquoted cue: what follows "say" or "write", else the last name-like word ("if I call you Captain")."""
    match = _BARE_CUE.search(condition)
    names = [word for word in re.findall(r"(?<=\s)[A-Z][\w'-]+|#\w+", condition) if word != "I"]
    return match.group(1) if match else names[-1] if names else None


def _after_colon(action: str) -> str | None:
    match = re.search(r":\s*(\S.*?)\s*$", action, re.DOTALL)
    return match.group(1) if match and len(match.group(1).split()) <= 8 else None


def _place(action: str) -> Place:
    if re.search(
        r"\b(only|just|nothing (?:but|else)|exactly)\b(?! (?:begin|start|open|end|finish|close|add)\b)",
        action,
        re.IGNORECASE,
    ):
        return "whole"
    if re.search(r"\b(begin|begins|start|starts|open|opens|first)\b", action, re.IGNORECASE):
        return "begin"
    if re.search(r"\b(end|ends|finish|finishes|close|closes|conclude|sign|last|add)\b", action, re.IGNORECASE):
        return "end"
    return "whole"
