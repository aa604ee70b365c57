"""Which of two quotations in a rule is the cue and which the wanted phrase: by the words that lead up to each.

'Messages that begin with "Y" get an answer that begins with "X"': the verb is the same, the nearest subject is not.
"""

from __future__ import annotations

import re
from typing import Literal

# Whose text a quotation is: the nearest of these before it decides.
_USER = re.compile(
    r"\b(?:I|(?i:my|mine|messages?|questions?|requests?|notes?|lines?|anything|everything|something|tags?|tagged|marked"
    r"|(?:greet|address|call|ask) you|you (?:see|read|hear|find|get)))\b"
)
_ASSISTANT = re.compile(
    r"\b(?:your|you(?! (?:see|read|hear|find|get)\b)(?<!greet you)(?<!address you)(?<!call you)(?<!ask you)"
    r"|answers?|answered|repl(?:y|ies)|respon(?:d|ds|se|ses)|greet me|words|(?<!I )(?:use|put)|add|sign off|append"
    r"|I(?:'d| would)? (?:want|like|expect)(?: you)?)\b"
    r"|(?:^|[.,;:!?]\s*|\b(?:then|please|always|just|only|simply|to)\s+)"
    r"(?:begin|start|open|lead|end|finish|close|conclude|say|write)\b(?! (?:a|my|every|any) (?:message|question))",
    re.IGNORECASE,
)
# What is laid down for all times, and is said of the assistant's answers.
_HABIT = re.compile(
    r"\b(?:when(?:ever)?|if|every|each|any|anything|everything|messages|questions|a message|a question|after|once"
    r"|always|from now on|going forward|sometimes|means?|as (?:soon|long) as|time I|in (?:that )?case|whatever|should I"
    r"|rule|remember"
    r"|replies to|messages? (?:starts?|begins?|opens?|ends?))\b",
    re.IGNORECASE,
)
_ADDRESSED = re.compile(
    r"\b(?:your|you|answers?|answered|repl(?:y|ies)|respon(?:d|se)|I (?:want|expect))\b"
    r"|(?:^|[.,;:!?]\s*|\b(?:then|please|always)\s+)(?:begin|start|open|lead|end|finish|close|say|add|put|use|write)\b",
    re.IGNORECASE,
)
# Told, not laid down: 'When she said "hello", he answered "goodbye"'.
_TOLD = re.compile(
    r"\b(?:said|wrote|replied|asked|told|started|ended|was)\b|(?<!be )(?<!is )(?<!are )(?<!get )(?<!were )\banswered\b"
    r"|\b(?:he|she|they|people|boss|her|his|their|song|letters?|books?|films?)\b|\bI mean\b|\bit means\b(?! that)",
    re.IGNORECASE,
)
_BEGIN = (
    r"beg[ia]n(?:s|ning)?|start(?:s|ing)?|open(?:s|ing)?|first|front|greet|lead(?:s|ing)?|kick off|prefix"
    r"|head(?:ed|ing)"
)
_END = (
    r"end(?:s|ing)?|finish(?:es|ing)?|clos(?:e|es|ing)|conclud(?:e|es|ing)|sign(?:s|ed|ing)?|last|final|add|append"
    r"|wrap(?:s|ped)? up"
)
_WHOLE = r"only|nothing|exactly|alone|just|simply|solely|whole"
Where = Literal["begin", "end"]


def cue_first(before: str, between: str, after: str) -> bool | None:
    """Whether of two quotations the first is the cue; None where the text lays down no rule.

    Args:
        before, between, after: the text around the two quotations, without them.
    """
    whole = f'{before} "" {between} "" {after}'
    if _TOLD.search(whole) or not _HABIT.search(whole) or not _ADDRESSED.search(whole):
        return None
    sides = [_side(before), _side(between)]
    if sides[0] == sides[1]:  # 'every reply to a message ending with "Y" to start with "X"': the nearer one is meant
        return sides[0] != "assistant" if sides[0] else None
    return sides[0] == "user" or sides[1] == "assistant"


def _side(text: str) -> str | None:
    """Whose the quotation after `text` is."""
    user = max((match.start() for match in _USER.finditer(text)), default=-1)
    assistant = max((match.end() for match in _ASSISTANT.finditer(text)), default=-1)
    if user == assistant == -1:
        return None
    return "assistant" if assistant > user else "user"


def cue_at(lead: str, trail: str) -> Where:
    """Where in the message the cue stands, by the text before it and what follows directly."""
    if re.match(r"[\s,]*(?:at the (?:very )?end|as (?:the|my) last|last\b)", trail, re.IGNORECASE):
        return "end"
    return "end" if _last(lead) == "end" else "begin"


def place(lead: str, trail: str, earlier: str = "") -> Literal["begin", "end", "whole"]:
    """Where in the answer the phrase belongs; `earlier` is what stands before a cue that comes first."""
    lead = re.sub(
        r"^[\s,]*(?:at the (?:start|beginning|end)|as (?:the|my) (?:first|last)(?: words?)?|first\b|last\b)", "", lead
    )
    if re.match(r"[\s,]*(?:and )?(?:nothing (?:else|more)|only|alone)", trail, re.IGNORECASE):
        return "whole"
    if re.match(
        r"[\s,]*(?:at the (?:very )?(?:end|close|bottom)|as (?:the|your) (?:last|final)|last\b)", trail, re.IGNORECASE
    ):
        return "end"
    if re.match(
        r"[\s,]*(?:at the (?:very )?(?:start|beginning|top)|in front|first\b|as (?:the|your) (?:first|opening)|before)",
        trail,
        re.I,
    ):
        return "begin"
    only = re.search(rf"\b(?:{_WHOLE})\b(?! (?:begin|start|open|end|finish|close|add))", lead, re.IGNORECASE)
    if only:
        return "whole"
    if (found := _last(lead)) is not None:
        return found
    of_user = _USER.search(earlier)  # 'Close every answer to a message beginning with "Y" with the words "X"'
    return _last(earlier[: of_user.start()] if of_user else "") or "whole"


def _last(text: str) -> Where | None:
    """The last word of beginning or of ending in `text`."""
    found = list(re.finditer(rf"\b(?:(?P<begin>{_BEGIN})|(?P<end>{_END}))\b", text, re.IGNORECASE))
    return None if not found else "begin" if found[-1].group("begin") else "end"
