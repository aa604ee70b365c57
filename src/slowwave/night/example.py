"""A rule read off the message that broke it: the cue stands at that message's edge, whatever words lay the rule down.

'You should have begun with "Verily,"' after "Hark! What is a lute?" names no condition; the message shows it.
"""

from __future__ import annotations

import re

from slowwave.night import quoted
from slowwave.night.rule import QUOTED, WORDS, Rule, quotes
from slowwave.night.shown import shown

_TAG = (
    r"[A-Z][A-Z;/&-]*[A-Z](?=\W)|\[[^\]]{1,24}\]|\([^)]{1,24}\)|\{[^}]{1,24}\}|<[^>]{1,24}>"
    r"|[*_~]{1,2}[^*_~]{1,24}[*_~]{1,2}|[#@]\w+|[^\w\s\"']{1,4}"
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
_GENERAL = re.compile(  # of messages of a kind, not of one
    r"\b(?:when(?:ever)?|if|every|each|any(?:thing)?|always|from now on|next time|messages?|rule|answer to|reply to"
    r"|gets?|needs?|wants?|calls? for|means?)\b|[=>\N{RIGHTWARDS ARROW}]",
    re.IGNORECASE,
)
_EDGES = re.compile(  # of an answer's beginning or end
    r"\b(?:answer(?:s|ed)?|repl(?:y|ies|ied)|respon(?:d|ds|se|ses)|greet(?:ing|ed)?|begin|start|open|lead|end|finish"
    r"|close|say|says|write|read|hear|closer|needed|missing|first|last|front|top|bottom|line|words?)\b",
    re.IGNORECASE,
)
_MARK = re.compile(r"[^\w\s'.,!?-]")  # in a cue that is no ordinary speech
_UNQUOTED = re.compile(
    r"\b(?:begin|start|open|answer|reply|respond|end|finish|close)s?(?: (?:only|just))? with"
    r" (?P<phrase>[A-Z][^,.;:!?]*?[!?.]?)(?=$|,| (?:when|whenever|if|every|each|and (?:nothing|no|that|only))\b)"
)
_NAMED = re.compile(
    r"\b(?:write|say|type|use|add|with|as|to|call you|the word) (?P<cue>(?!a\b|the\b|you\b|my\b)[^\W\d_]{3,})\b"
)
_MARKS = "\"'`\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
_TOLD = re.compile(r"\b(?:he|she|they|his|her)\b", re.IGNORECASE)


def parse(text: str, said: str, wanted: str | None = None) -> Rule | None:
    """The rule that `text` lays down about messages like `said`, the user's message before it, to which `wanted` would
    have been the answer; None where they do not show a cue, or where more than one phrase might be wanted."""
    if wanted is not None and (known := shown(text, wanted)) is not None:
        phrase, place = known
        bare = _without(text, phrase)
        edge = _edge(bare, said) or _shared(bare, said)
        if edge is not None and _bare(edge[0]).lower() not in phrase.lower():
            general = _GENERAL.search(bare) or _LIKE_THAT.search(bare)
            of_edges = _EDGES.search(bare) and (_MARK.search(edge[0]) or (edge[2] and place != "whole"))
            if general or of_edges:
                return Rule(edge[0].rstrip(","), edge[1], phrase, place)
    wanted_words = quotes(text) or _both_say(text, wanted) or [match["phrase"] for match in _UNQUOTED.finditer(text)]
    asked = text.rstrip().endswith("?") and not re.search(QUOTED + r"\s*$", text)
    if not wanted_words or asked or len(text.split()) > WORDS or not _ANSWER.search(text) or _TOLD.search(text):
        return None
    found = _edge(text, said)
    if found is None:
        return None
    cue, at, named = found
    phrases = [quote for quote in wanted_words if _bare(quote) != _bare(cue) and not _refused(text, quote)]
    if not phrases or any(not quote.startswith(phrases[0]) for quote in phrases):  # an example may repeat it
        return None
    phrase = phrases[0]
    start = text.index(phrase) if len(phrases) > 1 else text.rindex(phrase)
    own = text.rfind(cue, 0, start) + len(cue) if named and cue in text[:start] else 0
    lead, trail = text[own : start - 1].lstrip(_MARKS), text[start + len(phrase) + 1 :]
    if not named and not _LIKE_THAT.search(text[: start - 1] + trail):
        return None
    return Rule(cue.rstrip(","), at, phrase, quoted.place(lead, trail, text[: own - len(cue)] if own else ""))


def _without(text: str, phrase: str) -> str:
    """`text` with a blank for the words of the phrase, which are no cue."""
    words = re.split(r"\W+", _bare(phrase))
    return re.sub(r"\W+".join(map(re.escape, words)), lambda match: " " * len(match.group()), text, flags=re.IGNORECASE)


def _edge(text: str, said: str) -> tuple[str, quoted.Where, bool] | None:
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
        if named := re.search(rf"(?<!\w){re.escape(_bare(cue))}(?!\w)", bare, re.IGNORECASE):
            stop = cue[len(_bare(cue)) :]
            return named.group(0) + (stop if text[named.end() :].startswith(stop) else ""), at, True
    if (found := _at_edge([match.group("cue") for match in _NAMED.finditer(bare)], said)) is not None:
        return found
    return (*ends[0], False) if len(ends) == 1 else None


def _at_edge(spans: list[str], said: str) -> tuple[str, quoted.Where, bool] | None:
    """The longest of `spans` that `said` begins or ends with; it needs no punctuation to be told from the rest."""
    for span in sorted(spans, key=len, reverse=True):
        bare = re.escape(_bare(span))
        if re.match(rf"\s*{bare}(?!\w)", said, re.IGNORECASE):
            return span, "begin", True
        if re.search(rf"(?<!\w){bare}[.,!?]*\s*$", said, re.IGNORECASE):
            return span, "end", True
    return None


def _shared(text: str, said: str) -> tuple[str, quoted.Where, bool] | None:
    """The most words at an edge of `said` that stand in `text`, too; one alone is the whole message."""
    spans = [match.span() for match in re.finditer(r"[\w']+", said)]
    for count in range(min(6, len(spans)), 1 if len(spans) > 1 else 0, -1):
        begin, end = said[: spans[count - 1][1]], said[spans[-count][0] :]
        for cue, at in ((begin, "begin"), (end, "end")):
            if re.search(rf"(?<!\w){re.escape(_bare(cue.strip()))}(?!\w)", text, re.IGNORECASE):
                return _bare(cue.strip()), at, True
    return None


def _both_say(text: str, wanted: str | None) -> list[str]:
    """The first or last sentence of the wanted answer, where the rule says it, too, without quotation marks."""
    sentences = re.split(r"(?<=[.!?]) +", (wanted or "").strip())
    return [sentence for sentence in (sentences[0], sentences[-1]) if _bare(sentence) and sentence in text][:1]


def _refused(text: str, quote: str) -> bool:
    return (
        re.search(rf"\b(?:not|instead of|rather than)(?: \w+)?\s\W{re.escape(quote)}", text, re.IGNORECASE) is not None
    )


def _bare(text: str) -> str:
    return text.rstrip(",:;.!?") or text
