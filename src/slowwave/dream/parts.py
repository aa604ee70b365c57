"""A question of the user's taken apart: what it asks for, the things it speaks of and whose they are, verb, condition.

By English rules, without a model; what no rule understands is left whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from slowwave.dream.describe import descriptions

_AUX = r"(?:do|does|did|is|are|was|were|am|have|has|had|can|could|will|would|should|must|may|'s|'re)"
_WH = re.compile(
    r"^(?:(?:on|in|at|to|from|for|with|by|under|of) )?(?P<wh>what|which|who|whom|whose|where|when|why|how)\b\s*",
    re.IGNORECASE,
)
_STOP = frozenset(
    "a an the of to in on at by for from with without and or but if then than so as is are was were be been am do"
    " does did have has had i you he she it we they me my mine your yours his her its our ours their theirs this"
    " that these those there here what which who whom whose when where why how not no yes can could will would"
    " shall should may might must just only also very really please called name names named know tell say about"
    " into out up off over after before while during again always usually normally every each own get go make take"
    " put keep want need use give kind sort way thing things someone somebody people one ones s t m re ve ll d".split()
)
PREPOSITION = r"(?:in|on|at|after|before|for|with|from|of|during|under|to|by|about|when|if|while|into|out of|over)"
_NOUN_PHRASE = re.compile(
    rf"\b(?P<det>my|our|the|an?)\s+(?P<np>[\w'-]+(?:\s+(?!(?:{PREPOSITION}|is|are|was|and|or|called|named|an?|the|my|our)\b)"
    rf"[\w'-]+){{0,3}})(?P<verb>\s+(?:an?|the|my|our)\b)?",
    re.IGNORECASE,
)


# What a thing without an article is done to: "broken chairs" of "put broken chairs in the shed".
_BARE = re.compile(
    rf"^(?:do with|[\w-]+) (?P<object>(?!{PREPOSITION}\b)[\w'-]+(?: (?!{PREPOSITION}\b)[\w'-]+)*(?: for .+)?)",
    re.IGNORECASE,
)
# Where or when a thing is done, which is not what the question is about.
_SETTINGS = frozenset(
    "morning evening night day week weekend month year afternoon noon work office team company kitchen house home room"
    " place town end beginning".split()
)


@dataclass(frozen=True)
class Parts:
    """A question taken apart. Every part but `asks` may be missing."""

    ours: bool  # asked as "we" or "our", else as "I"
    asks: str  # what is wanted, in a word: name, place, day, size, way ...
    phrases: tuple[str, ...]  # noun phrases with their owner: "my shoe size", "the minutes", "the tram I take to work"
    verb: str | None  # verb phrase in the base form: "report a bug in our app"
    condition: str | None  # clause after "when" or "if": "a customer wants a refund"

    @property
    def how(self) -> bool:
        return self.asks == "way"


def parts(question: str) -> Parts | None:
    """Take a question apart; None where it is not about the user's own ("What is a volcano?" has no owner)."""
    text = _plainly(one_sentence(question).rstrip("?.! "))
    match = _WH.match(text)
    if match is None or not re.search(r"\b(?:i|my|me|mine|we|our|us|ours)\b", text, re.IGNORECASE):
        return None
    if re.search(r"\b(?:call|name) you\b", text, re.IGNORECASE):  # about the assistant, and no thesaurus knows which
        return None
    ours = re.search(r"\b(?:we|our|us|ours)\b", text, re.IGNORECASE) is not None
    rest = text[match.end() :]
    condition = None
    if split := re.search(r"\b(?:when|if|whenever|once|in case)\s+(.+)$", rest, re.IGNORECASE):
        condition, rest = split.group(1), rest[: split.start()].strip()
    verb = None
    owner = "our" if ours else "my"
    found = []
    if do := re.search(r"\b(?:do|does|did|can|should|must)\s+(?:i|we)\s+(.+)$", rest, re.IGNORECASE):
        verb = re.sub(r"^do (?:in order )?to ", "", do.group(1))
        head, body = rest[: do.start()].strip(), do.group(1)
        no_verb = r"(?:do|take)\b" if not head or "step" in head else r"do\b"
        verb = None if re.match(no_verb, verb) else verb
    elif third := re.search(r"\b(?:do|does|did)\s+((?:my|our) [\w'-]+)\s+(.+)$", rest, re.IGNORECASE):
        head, body = rest[: third.start()].strip(), third.group(2)
        found.append(third.group(1))
    else:
        head = re.split(rf"\b{_AUX}\b|'s\b", rest, maxsplit=1)[0].strip()
        body = rest
    asks = _asks(match.group("wh").lower(), head.lower(), text.lower(), verb, condition)
    whole, at = f"{body} | {condition or ''}", 0
    while np := _NOUN_PHRASE.search(whole, at):
        at = np.end("np")
        words = re.sub(r"'s?$", "", re.sub(r"(?:'s|s')\s+names?$|\s+names?$", "", np.group("np"))).split()
        if np.group("verb") and len(words) > 1:
            words.pop()  # "a customer wants a refund": what stands before the next article is a verb
        while words and words[-1].lower() in _STOP - {"off"}:
            words.pop()
        if words and (words[-1].lower() not in _SETTINGS or not (verb or found)):
            det = np.group("det").lower()
            found.append(" ".join([det, *words]))
            if len(words) > 1 and det in ("my", "our") and not any(word.endswith(("'s", "s'")) for word in words):
                found.append(f"{det} {words[-1]}")
    if condition is not None:
        found = [phrase for phrase in found if not condition.startswith(phrase)]
    if verb and head and asks not in ("way", "number", "amount", "time", "day", "name", "thing", "person"):
        found.append(f"{owner} {asks}")
    content = [w for w in re.findall(r"[\w'-]+", text) if w.lower() not in _STOP and len(w) > 2]
    if not content:
        return None
    if not found and (bare := _BARE.search(body)) and bare["object"].split()[0].lower() not in _STOP:
        found = [bare["object"]]
    told = descriptions(text) if asks != "way" else []
    if told:  # "Which plant is on my desk?" asks nothing of the desk
        found = [phrase for phrase in found if not re.search(rf"\b{PREPOSITION} {re.escape(phrase)}\b", text)]
    alone = verb is None or re.fullmatch(rf"\w+(?: {PREPOSITION} .+)?", verb)
    if not (found or told or condition) and alone:
        found = [f"{owner} {(verb or content[-1]).split()[0].lower()}"]
    return Parts(ours, asks, tuple(dict.fromkeys([*told, *found])), verb, condition)


_ROUNDABOUT = re.compile(
    r"what(?:'s| is) (?:my|our|the) (?:usual |own )?(?:way|procedure|process|routine) to (?P<a>.+)"
    r"|what steps do (?P<who>I|we) take to (?P<b>.+)|how (?:am|are) (?P<whom>I|we) supposed to (?P<c>.+)",
    re.IGNORECASE,
)


def _plainly(text: str) -> str:
    """ "What is our way to deploy it?" as "How do we deploy it?", "If it rains, what do we do?" the other way round."""
    if match := _ROUNDABOUT.fullmatch(text):
        ours = re.search(r"\b(?:our|we)\b", text, re.IGNORECASE) is not None
        return f"how do {'we' if ours else 'I'} {match['a'] or match['b'] or match['c']}"
    if match := re.fullmatch(r"(when|if|once) (.+?), ((?:what|who|how|where|which)\b.+)", text, re.IGNORECASE):
        return f"{match[3]} {match[1].lower()} {match[2]}"
    return text


_GREETING = re.compile(
    r"^(?:good (?:morning|evening|afternoon|night)|hi|hello|hey|hi there|so|ok|okay|listen|please|quick question"
    r"|one question|question|by the way)[,.!:]+\s*",
    re.IGNORECASE,
)


def one_sentence(question: str) -> str:
    """A question without its greeting, and with what is said before it as its condition: "The printer is stuck. How
    do I restart it?" gives "How do I restart the printer when the printer is stuck?"."""
    text = _GREETING.sub("", question.strip())
    said = re.split(r"(?<=[a-z]{2}[.!])(?<!Mrs\.)\s+(?=[A-Z])", text)  # not at "Dr." or "St."
    if len(said) != 2 or not text.endswith("?") or said[0].count(" ") < 2:
        return said[-1] if len(said) == 2 and said[0].count(" ") < 2 else text
    lead, asked = said[0].rstrip(".!"), said[1].rstrip("? ")
    lead = lead if re.match(r"I\b", lead) else lead[:1].lower() + lead[1:]
    if thing := _NOUN_PHRASE.search(lead):
        named = f"{thing.group('det').lower()} {thing.group('np')}"
        asked = re.sub(r"\b(?:it|them)$|\b(?:it|them)(?= (?:when|in|on|at|for|with)\b)", named, asked)
    return f"{asked} when {lead}?"


def _asks(wh: str, head: str, text: str, verb: str | None, condition: str | None) -> str:
    if wh == "how":
        if match := re.match(r"(?:many|much|often|long|old|tall|far|big|late|early)\b", head):
            return {"many": "number", "much": "amount", "often": "number", "long": "time", "old": "age"}.get(
                match.group(0), "number"
            )
        if head:
            return "amount" if head == "expensive" else "thing"
        return "name" if re.search(r"\bcalled\b|\bnamed\b", text) else "way"
    if wh == "where":
        return "place"
    if wh == "when":
        return "time" if re.search(r"\b(?:do|does)\b", text) else "day"
    if wh in ("who", "whom", "whose"):
        return "person"
    if wh == "why":
        return "reason"
    if head and wh in ("what", "which"):
        words = [w for w in re.findall(r"[a-z'-]+", head) if w not in _STOP or w == "name"]
        return " ".join(words[-2:]) or head.split()[-1]
    if re.search(r"\bcalled\b|\bnames?\b|\bnamed\b", text):
        return "name"
    if condition or re.search(r"\bdo (?:i|we) do\b", text):
        return "way"
    if match := re.match(r"what(?:'s| is| are| was) (?:my|our) (.+)$", text):
        return match.group(1).split()[-1] if len(match.group(1).split()) <= 3 else "thing"
    return "thing"
