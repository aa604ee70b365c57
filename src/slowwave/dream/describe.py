"""A question said otherwise by grammar alone: as a clause ("which tram I take to work"), and as a description of what
it asks for ("the tram I take to work"). Both stand in sentences where the question cannot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from slowwave.dream.verbs import agent

_PREPOSITION = (
    "in|on|at|to|from|for|with|by|of|under|behind|beside|near|after|before|during|between|above|into|about|next|outside"
    "|inside|against|around"
)
_BE = "is|are|was|were|am"
_AUX = f"{_BE}|do|does|did|can|could|should|must|may|will|have|has"
_QUESTION = re.compile(
    rf"(?:(?P<prep>{_PREPOSITION}) )?(?P<wh>what|which|who|whom|whose|where|when|why|how)"
    rf"(?:'s|(?: (?P<head>(?!(?:{_AUX})\b)[\w'-]+(?: (?!(?:{_AUX})\b)[\w'-]+){{0,3}}))? (?P<aux>{_AUX})) (?P<rest>.+)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"(?P<who>I|we|(?-i:[A-Z][a-z]+)|(?:my|our|the|your|their|his|her)"
    r" (?:(?:best|older|younger|elder|big|little|new|old|late) )?[\w-]+(?:'s [\w-]+|s' [\w-]+)?)"
    r" (?P<verb>[\w-]+)(?P<more> .+)?",
    re.IGNORECASE,
)
_STATE = re.compile(
    r"(?P<thing>(?:my|our|the) [\w' -]+?) (?P<state>(?:called|named|known|due|born|made|good|bad|allergic|open|closed"
    rf"|\w+ed|(?!of\b)(?:{_PREPOSITION}))\b.*)",
    re.IGNORECASE,
)
_DOER = re.compile(
    r"(?:who|(?:which|what) (?P<head>[\w-]+)) (?P<does>(?!is\b|was\b|does\b|has\b)\w+s (?!of\b).+)", re.IGNORECASE
)
_TRADE = re.compile(
    r"who (?P<verb>(?!(?:is|was|does|has)\b)\w+s)"
    r" (?P<whose>(?:my|our|their|his|her)(?: [\w-]+(?:'s|s'))?) (?P<thing>[\w-]+)",
    re.IGNORECASE,
)
_MEASURES = {"old": "age", "tall": "height", "long": "length", "big": "size", "heavy": "weight", "far": "distance"}


@dataclass(frozen=True)
class _Asked:
    prep: str
    wh: str
    head: str  # "ring size" of "Which ring size do I wear?"
    aux: str
    rest: str


def _read(question: str) -> _Asked | None:
    match = _QUESTION.fullmatch(question.strip().rstrip("?.! "))
    if match is None:
        return None
    wh, head = match["wh"].lower(), (match["head"] or "").lower()
    return _Asked((match["prep"] or "").lower(), wh, head, (match["aux"] or "is").lower(), match["rest"])


def clause(question: str) -> str | None:
    """The question as a clause: "What is my sister's name?" gives "what my sister's name is"; None if no rule fits."""
    asked = _read(question)
    if asked is None:
        text = question.strip().rstrip("?.! ")
        return text[:1].lower() + text[1:] if _DOER.fullmatch(text) else None
    said = _said(asked)
    opening = " ".join(word for word in (asked.prep, asked.wh, asked.head) if word)
    return f"{opening} {said}" if said else None


def _said(asked: _Asked) -> str | None:
    """What follows the question word, in the order of a statement."""
    rest = asked.rest
    if asked.aux in _BE.split("|"):
        if asked.head and re.match(rf"(?:{_PREPOSITION}) ", rest, re.IGNORECASE):
            return f"{asked.aux} {rest}"  # "which plant is on my desk"
        if match := re.fullmatch(r"(I|we) (.+)", rest, re.IGNORECASE):
            return f"{match[1]} {asked.aux} {match[2]}"
        if match := _state(asked):
            return f"{match['thing']} {asked.aux} {match['state']}"
        return f"{rest} {asked.aux}"
    match = _SUBJECT.fullmatch(rest)
    if match is None or asked.aux == "did":
        return None
    who, verb, more = match["who"], match["verb"], match["more"] or ""
    if asked.aux == "does":
        verb = _third(verb)
    return f"{who} {verb}{more}" if asked.aux in ("do", "does") else f"{who} {asked.aux} {verb}{more}"


def _state(asked: _Asked) -> re.Match[str] | None:
    """ "my cat called" of "What is my cat called?": a thing and what it is; "our rule for meetings" is all thing."""
    match = _STATE.fullmatch(asked.rest)
    whole = asked.wh == "what" and not asked.head and match and re.match(rf"(?:{_PREPOSITION}) ", match["state"])
    return None if whole else match


def descriptions(question: str) -> list[str]:
    """What the question asks for, as noun phrases: "the ring size I wear", "my ring size"; none if no rule fits."""
    asked = _read(question)
    if asked is None:
        doer = _DOER.fullmatch(question.strip().rstrip("?.! "))
        return [f"the {doer['head'] or 'person'} {'that' if doer['head'] else 'who'} {doer['does']}"] if doer else []
    said, rest, head = _said(asked), asked.rest, asked.head
    if said is None:
        return []
    be = asked.aux in _BE.split("|")
    own = re.fullmatch(r"(?:my|our) [\w' -]+", rest, re.IGNORECASE) is not None and be
    out: list[str] = []
    if asked.wh == "how":
        return _measured(asked, said, own)
    if head and asked.wh in ("what", "which"):
        if own and not _state(asked):  # "What make is my sewing machine?"
            out += [f"the {head} of {rest}", f"{_whose(rest)} {head}"]
        elif be and said.startswith(f"{asked.aux} "):  # "Which plant is on my desk?"
            out += [f"the {head} {rest}", f"the {head} that {said}"]
        elif asked.prep:
            out += [f"the {head} {asked.prep} which {said}"]
        else:
            out += [f"the {head} {said}", f"the {head} that {said}"]
        if match := re.match(r"(?:does|do) (my [\w-]+) ", f"{asked.aux} {rest}"):
            out.append(f"{match[1]}'s {head}")
        elif re.match(r"(?:I|we)\b", rest) and not asked.prep and not be:
            out.append(f"{'our' if rest.startswith('we') else 'my'} {head}")
    elif own and not _state(asked):
        kinds = {"where": ("the place of ",), "when": ("the date of ", "the time of ")}.get(asked.wh, ("",))
        out += [f"{kind}{rest}" for kind in kinds]
    elif be and (match := re.fullmatch(r"the ([\w -]+) of ((?:my|our) [\w' -]+)", rest, re.IGNORECASE)):
        out += [rest, f"{_whose(match[2])} {match[1]}"]
    elif asked.wh in ("where", "when") and not be:
        out.append(f"the {'place' if asked.wh == 'where' else 'time'} {asked.wh} {said}")
    elif asked.wh == "who" and not be:
        out.append(f"the person {said}")
    elif asked.wh == "what" and not be and not re.match(r"(?:I|we) (?:do|should do|must do)\b", said):
        out.append(f"what {said}")
    return out


def trade(question: str) -> str | None:
    """ "my piano tuner" of "Who tunes my piano?"; None if no rule fits."""
    match = _TRADE.fullmatch(question.strip().rstrip("?.! "))
    if match is None:
        return None
    return f"{match['whose']} {re.sub(r'(?<=[^s])s$', '', match['thing'])} {agent(_base(match['verb']))}"


def _base(verb: str) -> str:
    """ "tunes" as "tune", "teaches" as "teach", "carries" as "carry"."""
    if verb.endswith("ies"):
        return f"{verb[:-3]}y"
    return verb[:-2] if re.search(r"(?:s|x|z|ch|sh)es$", verb) else verb[:-1]


def _measured(asked: _Asked, said: str, own: bool) -> list[str]:
    measure = asked.head.split()[0] if asked.head else ""
    if own and measure in _MEASURES:
        return [f"the {_MEASURES[measure]} of {asked.rest}", f"{_whose(asked.rest)} {_MEASURES[measure]}"]
    if own and measure == "much":
        return [f"the price of {asked.rest}", f"what {asked.rest} costs"]
    if asked.head.startswith("many "):
        return [f"the number of {asked.head.removeprefix('many ')} {said}"]
    if asked.head == "much":
        return [f"the amount {said}", f"what {said}"]
    return [f"{asked.wh} {asked.head} {said}"] if asked.head else []


def _whose(owner: str) -> str:
    return f"{owner}'" if re.search(r"[^s]s$", owner) else f"{owner}'s"


def _third(verb: str) -> str:
    if verb in ("have", "do", "go"):
        return {"have": "has", "do": "does", "go": "goes"}[verb]
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ies"
    return f"{verb}es" if re.search(r"(?:s|x|z|ch|sh)$", verb) else f"{verb}s"
