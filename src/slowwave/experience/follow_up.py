"""What the user said after an answer, and what it tells us: a correction, an approval, a complaint, or nothing.

`Experience.messages` ends with the answer, or with one more user turn: the follow-up, in the user's own words. An
ordinary next question stands there too (salience reads it), so ask `correction_turn` before learning from it.
`Outcome.correction` is something else: the answer that should have been given, in the assistant's voice.

The rules are English and look at the opening words, because that is where people put a correction ("No, ...",
"Actually ..."); a rule that looks anywhere takes "I have no idea how to cook rice" for one.
"""

from __future__ import annotations

import re

from slowwave.records import Experience

_FILLER = r"^\W*(?:(?:well|um+|uh+|oh|hm+|hey|ok(?:ay)?|sorry|please)\b[\s,.!-]*)*"
_NOT = r"(?:not|wrong|incorrect|false|untrue|mistaken|nonsense)\b(?!\s+(?:bad|a\s+problem)\b)"
_IS = r"(?:'s|\s+is|\s+was)"


def _opening(*rules: str) -> re.Pattern[str]:
    return re.compile(f"{_FILLER}(?:{'|'.join(rules)})", re.IGNORECASE | re.DOTALL)


_CORRECTION = _opening(
    r"(?:no|nope|nah)(?=[,.!;:]|\s*$|\s+[-–—])",  # "No, your name is Mira."
    r"(?:no|nope)\s+(?:it|that|this|you|i|my|your|we|he|she|they|the|not|don't)\b",  # but not "no problem"
    rf"(?:that|this|it){_IS}\s+{_NOT}",
    r"(?:that|this|it)\s+(?:isn't|wasn't)\s+(?:right|correct|true|what|how|my|it|the)\b",
    r"(?:wrong|incorrect|false)\b",
    r"not\s+(?:quite|really|correct|right|true|like\s+(?:that|this)|that\s+way|here)\b",
    r"not\s+(?:in|at|with|for|by)\s+(?:our|my|us|me)\b",  # "Not in our company. We ..."
    r"actually\b(?!.*\?\s*$)",  # "Actually, how far is it?" is a question
    r"(?:i|we)\s+(?:said|told\s+you|meant|asked\s+(?:for|you))\b",
    rf"you(?:'re|\s+are|\s+were)\s+{_NOT}",
    r"you\s+(?:should|shouldn't|must|forgot|misunderstood|got\s+(?:it|that)\s+wrong)\b",
    r"you\s+made\s+(?:a\s+mistake|an\s+error|it\s+up)\b",
    r"(?:don't|do\s+not|never)\s+(?:call|say|tell|use|answer|invent|make|do|pretend)\b",
    r"stop\s+(?:calling|saying|using|making|pretending)\b",
    r"correction\s*[:,-]",
    r"it\s+should\s+(?:be|have\s+been)\b",
    r"my\s+name\s+(?:is\s+not|isn't)\b",
)
_APPROVAL = _opening(
    r"(?:(?:yes|yeah|yep|and)\b[\s,.!-]*)?(?:many\s+)?(?:thanks|thank\s+(?:you|u)|thx)\b",
    r"(?:(?:yes|yeah|yep)\b[\s,.!-]*)?(?:perfect|exactly|great|excellent|awesome|wonderful|brilliant|lovely)\b",
    r"(?:(?:yes|yeah|yep)\b[\s,.!-]*)?correct(?=\s*(?:[,.!;]|$))",
    r"(?:well\s+done|good\s+(?:job|answer|work|one)|nice(?!\s+try)|love\s+it)\b",
    r"right\s*[,.!]",
    rf"(?:that|this|it){_IS}\s+(?:very\s+)?(?:right|correct|perfect|great|exactly|helpful)\b",
    r"that\s+(?:works|worked|helps|helped)\b",
    r"you(?:'re|\s+are)\s+(?:right|correct)\b",
)
_START = r"(?:^|[.!:;,]\s+|\bplease\s+|\bthat\s+)"
_WHEN = r"\b(?:when(?:ever)?|if|every\s+time|each\s+time|any\s?time|as\s+soon\s+as)\s+(?!you\b)\w"  # not "if you can"
_DO = r"(?:begin|start|open|end|finish|close|conclude|sign\s+off|reply|answer|respond|say)\b"
_ADVERBS = r"(?:(?:then|please|always|only|just|you|should|must|shall|will|to)\s+){0,3}"
_QUOTE = r"[\"“\[]|(?<!\w)'"
_RULES = [
    re.compile(rf"{_START}{_WHEN}.{{1,200}}?,\s*{_ADVERBS}{_DO}.{{0,60}}?(?:{_QUOTE})", re.IGNORECASE | re.DOTALL),
    re.compile(rf"{_START}{_ADVERBS}{_DO}.{{0,60}}?(?:{_QUOTE}).{{1,200}}?{_WHEN}", re.IGNORECASE | re.DOTALL),
]
_BUT = re.compile(r"\b(?:but|however|except|although)\b|\bnot\s+(?:correct|right|true|quite)\b", re.IGNORECASE)


def follow_up(experience: Experience) -> str | None:
    """What the user said next, whatever it was; None where nothing followed."""
    messages = experience.messages
    answered = any(message["role"] == "assistant" for message in messages)
    return messages[-1]["content"] if answered and messages[-1]["role"] == "user" else None


def last_words(experience: Experience) -> str:
    """The user's last turn: the follow-up where there is one, else the question."""
    return next((m["content"] for m in reversed(experience.messages) if m["role"] == "user"), "")


def correction_turn(experience: Experience) -> str | None:
    """The user's next turn if it corrects the answer, in the user's voice ("No, your name is Mira."); else None."""
    said = follow_up(experience)
    return said if said is not None and is_correction(said) else None


def is_correction(text: str) -> bool:
    """Whether a user's turn says that the answer before it was wrong."""
    plain = text.replace("’", "'").strip()
    bare_question = plain.endswith("?") and not re.search(r"[,.;:!–—]", plain)  # "Should it be blue?"
    return bool(_CORRECTION.match(plain)) and not bare_question


def lays_down_rule(text: str) -> bool:
    """Whether a user's turn tells how to answer from now on: 'When I say "Ahoy", begin your answer with "Aye aye"'."""
    plain = text.replace("’", "'").strip()
    return not plain.endswith("?") and any(rule.search(plain) for rule in _RULES)


def is_approval(text: str) -> bool:
    """Whether a user's turn approves of the answer before it, without a "but" behind the thanks."""
    plain = text.replace("’", "'").strip()
    if plain.endswith("?") or _BUT.search(plain) or not _APPROVAL.match(plain):
        return False
    return not any(is_correction(part) for part in [plain, *re.split(r"[.!;,]\s+", plain)[1:]])


def exchange(experience: Experience) -> tuple[tuple[dict[str, str], ...], str | None]:
    """The conversation up to the question, and the assistant's answer to it (None where there is none)."""
    messages = experience.messages
    for place in range(len(messages) - 1, -1, -1):
        if messages[place]["role"] == "assistant":
            return messages[:place], messages[place]["content"]
    return messages, None
