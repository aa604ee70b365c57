"""Minimal pairs: a question with one thing changed, so that its answer is another. Somebody else's, another thing of
its sort, another time, another matter of the same thing.
"""

from __future__ import annotations

import re

import numpy as np

from slowwave.dream import reword
from slowwave.exam.match import normalise

_OTHERS = ("your cousin", "the mayor", "Anna", "my friend's boss", "the people next door", "your maker")
_RELATIONS = tuple(
    f"my {relation}"
    for relation in (
        "neighbour", "colleague", "husband", "wife", "mother", "father", "grandfather", "best friend", "flatmate",
        "boss", "uncle", "aunt", "daughter", "son", "sister", "brother", "nephew", "niece", "teacher", "cousin",
    )
)  # fmt: skip
_FAMILY = frozenset(
    "sister brother mother father mum dad wife husband son daughter aunt uncle cousin niece nephew grandmother"
    " grandfather family parents children".split()
)
# What people call their own, by sort; a question about one is turned to others of its sort; the last is for all else.
_SORTS = (
    tuple(
        "sister brother mother father mum dad wife husband son daughter aunt uncle cousin niece nephew grandmother"
        " grandfather neighbour colleague boss friend flatmate dentist doctor teacher landlord plumber hairdresser"
        " gardener manager lawyer partner".split()
    ),
    (
        "dentist appointment", "piano lesson", "gym class", "yoga class", "book club", "team meeting",
        "football training", "hair appointment", "dance class", "language course", "parents' evening",
        "choir practice", "chess club", "doctor's visit", "swimming lesson", "pub quiz", "job interview",
    ),
    ("cat", "dog", "goldfish", "hamster", "rabbit", "horse", "parrot", "tortoise", "guinea pig", "pony"),
    (
        "car", "bike", "boat", "phone", "laptop", "suitcase", "guitar", "printer", "kitchen table", "garden shed",
        "savings account", "passport", "old coat", "umbrella", "wallet", "camera", "coffee machine", "office key",
        "tent", "toolbox",
    ),
)  # fmt: skip
# What else there is to ask about one of each sort.
_MATTERS = (
    (
        "How old is {x}?", "Where does {x} live?", "What does {x} do for a living?", "What does {x} like to eat?",
        "What can I give {x} for a birthday?", "When did I last see {x}?", "How do I get along with {x}?",
    ),
    (
        "How long does {x} take?", "What do I wear to {x}?", "Who else comes to {x}?", "Why do I like {x}?",
        "What does {x} cost?", "How do I prepare for {x}?",
    ),
    (
        "How old is {x}?", "What does {x} eat?", "Which breed is {x}?", "How do I train {x}?", "Where does {x} sleep?",
        "Who looks after {x}?",
    ),
    (
        "How old is {x}?", "Where did I buy {x}?", "How much did {x} cost?", "Who gave me {x}?", "How do I clean {x}?",
        "How heavy is {x}?", "What is {x} made of?",
    ),
)  # fmt: skip
_HEADS = (
    "book", "film", "song", "jacket", "phone", "cup", "game", "tool", "card", "newspaper", "bag", "dish",
    "person", "picture", "chair", "bottle",
)  # fmt: skip
_MEANS = {"much": "cost", "price": "cost", "age": "old", "address": "live", "home": "live", "job": "living"}
_OF_A_THING = frozenset("name names size number colour color address birthday date age job code password place".split())
_TIMES = (
    ("morning", "afternoon", "evening"),
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("spring", "summer", "autumn", "winter"),
)
_TIME = re.compile(
    rf"\b(?:in|on)(?: the| a)? ({'|'.join(word for words in _TIMES for word in words)})\b", re.IGNORECASE
)
_LITTLE = frozenset(
    "how what where when who which why is are do does did i my me the a for to in on at of with".split()
)


def somebody_else(question: str) -> list[str]:
    """The question turned to other people: "my sister's name" becomes "my neighbour's sister's name"."""
    others = [person for person in (*_OTHERS, *_RELATIONS) if person.removeprefix("my ") not in question]
    if set(normalise(question.replace("'s", "")).split()) & _FAMILY:  # my brother's sister is my own
        others = [person for person in others if person.removeprefix("my ") not in _FAMILY]
    out = [text for person in others if (text := _turned(question, person)) != question]
    out += [text for person in others[::3] if (text := _belonging(question, person)) != question]
    if re.search(r"\b(my|our)\b", question, re.IGNORECASE):
        out.append(re.sub(r"\b(?:my|our)\b", "your", question, flags=re.IGNORECASE))
    return out or _not_the_assistant(question)


def owned_by_another(message: str, rng: np.random.Generator) -> str | None:
    """A longer message with another's things in place of the user's: what the user says, tells or writes stays theirs.
    None where nothing of the user's is in it."""
    if re.search(r"\b(?:my|our)\b", message, re.IGNORECASE):
        person = _OTHERS[int(rng.integers(len(_OTHERS)))]
        turned = re.sub(r"\b(?:my|our)\b", f"{person}'s", message, flags=re.IGNORECASE)
        return turned[:1].upper() + turned[1:]
    others = somebody_else(message)
    return others[int(rng.integers(len(others)))] if others else None


def _turned(question: str, person: str) -> str:
    """What the user asks of themselves, asked of a person."""
    be, do = _verbs(person)
    text, turned = re.subn(r"\b(?:do|did) (?:I|we)\b", f"{do} \0", question, flags=re.IGNORECASE)
    text, more = re.subn(r"\b(?:am I|are we)\b", f"{be} \0", text, flags=re.IGNORECASE)
    text = re.sub(r"\b(?:my|our)\b", "their" if turned or more else "\0's", text, flags=re.IGNORECASE)
    return text.replace("\0", person)


def _belonging(question: str, person: str) -> str:
    """ "What colour is my bicycle?" of a person's: "What colour is the bicycle of my aunt?"."""
    if (found := _thing(question)) is None:
        return question
    start, own, _ = found
    end = start + len(own)
    if question[end:].startswith("'s"):
        return question
    before = re.sub(r"\b(?:my|our) $", "the ", question[:start], flags=re.IGNORECASE)
    return f"{before}{own} of {person}{question[end:]}"


def _verbs(person: str) -> tuple[str, str]:
    return ("are", "do") if person.endswith("people next door") else ("is", "does")


def _not_the_assistant(question: str) -> list[str]:
    """A question about the assistant turned to the user and to other people: "What is my name?"."""
    mine = re.sub(r"\bI call you\b", "you call me", question)
    for yours, ours in ((r"\byour\b", "my"), (r"\bare you\b", "am I"), (r"\bdo you\b", "do I")):
        mine = re.sub(yours, ours, mine, flags=re.IGNORECASE)
    out = [mine] if mine != question else []
    for person in (*_OTHERS[:-1], *_RELATIONS):
        be, do = _verbs(person)
        text = re.sub(r"\bcall you\b", f"call {person}", question)
        for yours, theirs in (
            (r"\byour\b", f"{person}'s"), (r"\bare you\b", f"{be} {person}"), (r"\bdo you\b", f"{do} {person}"),
        ):  # fmt: skip
            text = re.sub(yours, theirs, text, flags=re.IGNORECASE)
        if text != question:
            out.append(text)
    return out


def something_else(question: str, rng: np.random.Generator, wide: bool = False) -> list[str]:
    """The question about another of its sort: "On which day is my dentist appointment?" beside the choir practice."""
    if (found := _thing(question)) is None:
        return _another_head(question, rng)
    start, own, sort = found
    same = {*own.lower().split(), *reword.alike(own, wide)}
    others = [thing for thing in _SORTS[sort] if not same & {thing, *thing.split()}]
    end = start + len(own)
    return [question[:start] + others[i] + question[end:] for i in rng.permutation(len(others))]


def _another_head(question: str, rng: np.random.Generator) -> list[str]:
    """ "Which tram do I take to work?" about something that is no tram."""
    match = re.match(
        r"((?:\w+ )?(?:which|what) )([a-z][\w-]*(?: [a-z][\w-]*)?)( (?:do|am|can|should) (?:I|we)\b.*)", question, re.I
    )
    if match is None:
        return []
    heads = [head for head in _HEADS if head not in match[2].lower().split()]
    return [match[1] + heads[i] + match[3] for i in rng.permutation(len(heads))[:6]]


def another_time(question: str) -> list[str]:
    """What is asked of the afternoon, asked of the morning; of a greeting, nothing."""
    match = _TIME.search(question)
    if match is None:
        return []
    said = match.group(1).lower()
    others = next(words for words in _TIMES if said in words)
    cased = str.capitalize if match.group(1)[0].isupper() else str
    return [question[: match.start(1)] + cased(word) + question[match.end(1) :] for word in others if word != said]


def another_matter(question: str, rng: np.random.Generator) -> list[str]:
    """Something else about the same thing: "What does my dog eat?" beside its name."""
    if (found := _thing(question)) is None:
        return []
    start, own, sort = found
    if own.lower() in _OF_A_THING:
        return []
    thing = f"{question[:start].split()[-1].lower()} {own}"
    asked = set(normalise(question).split())
    asked |= {_MEANS[word] for word in asked & _MEANS.keys()}
    forms = [form for form in _MATTERS[sort] if not asked & set(normalise(form).split()) - _LITTLE]
    return [forms[i].format(x=thing) for i in rng.permutation(len(forms))]


def _thing(question: str) -> tuple[int, str, int] | None:
    """(where it begins, its words, its sort) of the thing that the user calls their own."""
    match = re.search(
        r"\b(?:my|our) ([a-z][\w-]*"
        r"(?: (?!is\b|are\b|was\b|when\b|if\b|in\b|on\b|at\b|for\b|to\b|every\b|called\b|named\b)[a-z][\w-]*)?)",
        question, re.IGNORECASE,
    )  # fmt: skip
    if match is None:
        return None
    own = match.group(1).lower().removesuffix("'s").split()
    if re.search(r"\b(?:do|does|did) $", question[: match.start()], re.IGNORECASE):
        own = own[:1]  # "When does my alarm go off?": a verb follows
    while len(own) > 1 and own[-1] in _OF_A_THING:
        own.pop()  # "my shoe size": the size stays
    of_sort = [own[0] in things or own[-1] in {word for thing in things for word in thing.split()} for things in _SORTS]
    sort = of_sort.index(True) if any(of_sort) else len(_SORTS) - 1
    if own[0] in _SORTS[sort]:
        own = own[:1]  # "my sister's name": the name stays
    return match.start(1), question[match.start(1) : match.start(1) + len(" ".join(own))], sort
