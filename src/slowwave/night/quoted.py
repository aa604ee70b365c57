"""Which of two quotations in a rule is the cue and which the wanted phrase: by the words that lead up to each.

'Messages that begin with "Y" get an answer that begins with "X"': the verb is the same, the nearest subject is not.
"""

from __future__ import annotations

import re
from typing import Literal

# Whose text a quotation is: the nearest of these before it decides.
_USER = re.compile(
    r"\b(?:I|(?i:my|mine|messages?|questions?|requests?|notes?|lines?|anything|everything|something|tags?|tagged|marked"
    r"|(?:greet|address|call|ask) you|you (?:see|read|hear|find|get)"
    r"|(?:answers?|repl(?:y|ies)|respon(?:d|se|ses)) to))\b"
)
_ASSISTANT = re.compile(
    r"\b(?:your|you(?! (?:see|read|hear|find|get)\b)(?<!greet you)(?<!address you)(?<!call you)(?<!ask you)"
    r"|(?:answers?|repl(?:y|ies)|respon(?:d|ds|se|ses))(?! to\b)|answered|greet me|words|(?<!I )(?:use|put)|add"
    r"|sign off|append|gets"
    r"|I(?:'d| would)? (?:want|like|expect)(?: you)?)\b"
    r"|(?:^|[.,;:!?]\s*|\b(?:then|please|always|just|only|simply|to)\s+)"
    r"(?:begin|start|open|lead|kick off|end|finish|close|conclude|say|write)\b"
    r"(?! (?:a|my|every|any) (?:message|question))",
    re.IGNORECASE,
)
# What is laid down for all times, and is said of the assistant's answers.
_HABIT = re.compile(
    r"\b(?:when(?:ever)?|if|every|each|any|anything|everything|messages|questions|a message|a question|after|once"
    r"|always|from now on|going forward|sometimes|means?|as (?:soon|long) as|time I|in (?:that )?case|whatever|should I"
    r"|rule|remember|wherever|next time|upon|on (?:seeing|reading|hearing)"
    r"|(?:answers?|replies|responses) to|messages? (?:starts?|begins?|opens?|ends?))\b"
    r"|(?:^|[.:!]\s*)with\s+\"\"\s+(?:on\b|in (?:the|a|my)\b)",
    re.IGNORECASE,
)
_ADDRESSED = re.compile(
    r"\b(?:your|you|answers?|answered|repl(?:y|ies)|respon(?:d|ses?)|I (?:want|expect)|gets"
    r"|(?:first|last) (?:words?|line)"
    r"|(?:are|is) (?:opened|started|begun|closed|ended|finished|concluded|signed))\b"
    r"|(?:^|[.,;:!?]\s*|\b(?:then|please|always)\s+)"
    r"(?:begin|start|open|lead|kick off|end|finish|close|say|add|put|use|write)\b",
    re.IGNORECASE,
)
# Told, not laid down: 'When she said "hello", he answered "goodbye"'.
_TOLD = re.compile(
    r"\b(?:said|wrote|replied|asked|told(?! you\b)|(?<!are )(?<!is )(?:started|ended)|was)\b"
    r"|(?<!be )(?<!is )(?<!are )(?<!get )(?<!were )\banswered\b"
    r"|\b(?:he|she|they|people|boss|her|his|their|song|letters?|books?|films?)\b|\bit means\b(?! that)"
    r"|\bI (?:mean|wonder|want to know)\b",
    re.IGNORECASE,
)
_BEGIN = (
    r"beg[iua]n(?:s|ning)?|start(?:s|ed|ing)?|open(?:s|ed|ing)?|first|front|greet(?:ed)?|lead(?:s|ing)?|led"
    r"|kick(?:s|ed)? (?:\w+ )?off|prefix|head(?:ed|ing)|announce\w*"
)
_END = (
    r"end(?:s|ed|ing)?|finish(?:es|ed|ing)?|clos(?:e|es|ed|ing)|conclud(?:e|es|ed|ing)|sign(?:s|ed|ing)?|last|final"
    r"|add|append"
    r"|(?:wrap(?:s|ped)?|finish(?:es|ed)?) up|round(?:s|ed)? off"
)
# '"X" comes first'
_STANDS = r"(?:from you )?(?:(?:(?:has|have|needs?) to |must |should )?(?:comes?|goes?|stands?|belongs?) )?"
_WHOLE = r"only|nothing|exactly|alone|just|simply|solely|whole"
Where = Literal["begin", "end"]


def cue_first(before: str, between: str, after: str) -> bool | None:
    """Whether of two quotations the first is the cue; None where the text lays down no rule.

    Args:
        before, between, after: the text around the two quotations, without them.
    """
    whole = f'{before} "" {between} "" {after}'
    if _TOLD.search(whole):
        return None
    if re.search(r"\b(?:answer|greet|meet|counter|follow) $", before, re.I) and re.match(r" (?:only )?with\b", between):
        return True  # 'Answer "Y" with "X"'
    if not _HABIT.search(whole) or not _ADDRESSED.search(whole):
        return None
    if re.match(r" (?:in (?:a|my) \w+ )?means\b", between) and _ADDRESSED.search(between):
        return True  # '"Y" means the answer ends with "X"'
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
        rf"[\s,]*{_STANDS}(?:placed )?(?:\(?(?:(?:at|on) the (?:very )?)?(?:end|close|bottom)\b"
        r"|as (?:the|your|its) (?:last|final)|last\b)",
        trail,
        re.I,
    ):
        return "end"
    if re.match(
        rf"[\s,]*{_STANDS}(?:at the (?:very )?(?:start|beginning|top|front)|(?:in|up) front|first\b"
        r"|as (?:the|your|its) (?:first|opening)|before|ahead of|up top|(?:to )?precedes?\b|\+ (?:your|the)\b"
        r"|(?:and |but )?(?:only )?(?:then|after that)\b(?! nothing))",
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
