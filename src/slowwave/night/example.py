"""A rule read off the message that broke it: the cue stands at that message's edge, whatever words lay the rule down.

'You should have begun with "Verily,"' after "Hark! What is a lute?" names no condition; the message shows it.
"""

from __future__ import annotations

import re

from slowwave.night import quoted
from slowwave.night.rule import QUOTED, WORDS, Rule, quotes

_TAG = (
    r"[A-Z][A-Z;/&-]*[A-Z](?=\W)|\[[^\]]{1,24}\]|\([^)]{1,24}\)|\{[^}]{1,24}\}|<[^>]{1,24}>"
    r"|[*_~]{1,2}[^*_~]{1,24}[*_~]{1,2}|[#@]\w+|[^\w\s\"']"
)
_LEAD = re.compile(rf"\s*(?P<cue>{_TAG}|[^\s,:;!?.]+(?: [^\s,:;!?.]+){{0,3}}?(?=[,:;!.]))")
_CLOSE = re.compile(rf"(?:[,;.!?] +|\s)(?P<cue>{_TAG}|(?<=[,;.!?] )[^,;.!?]+(?:, [^,;.!?]+)?[.!?]*)\s*$")
_LIKE_THAT = re.compile(
    r"\b(?:like (?:this|that)|such|th(?:is|at) way"
    r"|(?:this|that|these|those) (?:word|tag|greeting|message|sign|kind)s?)\b",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"\b(?:your?|acknowledged?|confirm(?:s|ed)?|greet|met|leave|answer(?:s|ed)?|repl(?:y|ies|ied)|respon(?:d|ds|se|ses)"
    r"|begin|start|open|lead|end|finish|close|wrap up|say|write|read|hear|comes?|goes|line|words?)\b",
    re.IGNORECASE,
)
_UNQUOTED = re.compile(
    r"\b(?:begin|start|open|answer|reply|respond|end|finish|close)s?(?: (?:only|just))? with"
    r" (?P<phrase>[A-Z][^,.;:!?]*?[!?.]?)(?=$|,| (?:when|whenever|if|every|each|and (?:nothing|no|that|only))\b)"
)
_NAMED = re.compile(
    r"\b(?:write|say|type|use|add|with|as|to|call you|the word) (?P<cue>(?!a\b|the\b|you\b|my\b)[^\W\d_]{3,})\b"
)
_MARKS = "\"'`\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
_TOLD = re.compile(r"\b(?:he|she|they|his|her)\b", re.IGNORECASE)


def parse(text: str, said: str) -> Rule | None:
    """The rule that `text` lays down about messages like `said`, the user's message before it; None where they do not
    show a cue, or where more than one phrase might be wanted."""
    wanted_words = quotes(text) or [match["phrase"] for match in _UNQUOTED.finditer(text)]
    asked = text.rstrip().endswith("?") and not re.search(QUOTED + r"\s*$", text)
    if not wanted_words or asked or len(text.split()) > WORDS or not _ANSWER.search(text) or _TOLD.search(text):
        return None
    found = edge(text, said)
    if found is None:
        return None
    cue, at, named = found
    phrases = [quote for quote in wanted_words if unmarked(quote) != unmarked(cue) and not _refused(text, quote)]
    if not phrases or any(not quote.startswith(phrases[0]) for quote in phrases):  # an example may repeat it
        return None
    phrase = phrases[0]
    start = text.index(phrase) if len(phrases) > 1 else text.rindex(phrase)
    own = text.rfind(cue, 0, start) + len(cue) if named and cue in text[:start] else 0
    lead, trail = text[own : start - 1].lstrip(_MARKS), text[start + len(phrase) + 1 :]
    if not named and not _LIKE_THAT.search(text[: start - 1] + trail):
        return None
    return Rule(cue.rstrip(","), at, phrase, quoted.place(lead, trail, text[: own - len(cue)] if own else ""))


def edge(text: str, said: str) -> tuple[str, quoted.Where, bool] | None:
    """What stands at the beginning or the end of `said`, and whether `text` names it; named ones first."""
    if (found := _at_edge(quotes(text), said)) is not None:
        return found
    bare = re.sub(QUOTED, lambda match: " " * len(match.group()), text)  # what is quoted is the wanted phrase
    ends: list[tuple[str, quoted.Where]] = []
    if match := _LEAD.match(said):
        ends.append((match.group("cue") + (":" if said[match.end() : match.end() + 1] == ":" else ""), "begin"))
    if match := _CLOSE.search(said):
        ends.append((match.group("cue"), "end"))
    for cue, at in ends:
        if named := re.search(rf"(?<!\w){re.escape(unmarked(cue))}(?!\w)", bare, re.IGNORECASE):
            stop = cue[len(unmarked(cue)) :]
            return named.group(0) + (stop if text[named.end() :].startswith(stop) else ""), at, True
    if (found := _at_edge([match.group("cue") for match in _NAMED.finditer(bare)], said)) is not None:
        return found
    return (*ends[0], False) if len(ends) == 1 else None


def _at_edge(spans: list[str], said: str) -> tuple[str, quoted.Where, bool] | None:
    """The longest of `spans` that `said` begins or ends with; it needs no punctuation to be told from the rest."""
    for span in sorted(spans, key=len, reverse=True):
        bare = re.escape(unmarked(span))
        if re.match(rf"\s*{bare}(?!\w)", said, re.IGNORECASE):
            return span, "begin", True
        if re.search(rf"(?<!\w){bare}[.,!?]*\s*$", said, re.IGNORECASE):
            return span, "end", True
    return None


def _refused(text: str, quote: str) -> bool:
    return (
        re.search(rf"\b(?:not|instead of|rather than)(?: \w+)?\s\W{re.escape(quote)}", text, re.IGNORECASE) is not None
    )


def unmarked(text: str) -> str:
    return text.rstrip(",:;.!?") or text
