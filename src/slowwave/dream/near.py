"""Near misses: the smallest changes after which a lesson must not show. Their target is the base's own answer.

Four kinds, none of which needs a model: the same question about somebody else, what the lesson's words mean in
general, real things where the lesson is about invented ones, and the ordinary messages that lie nearest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from slowwave.dream import bank
from slowwave.dream.filters import Embeds
from slowwave.exam.match import normalise
from slowwave.records import Lesson

_PEOPLE = (
    "my neighbour",
    "your cousin",
    "the mayor",
    "my colleague",
    "Anna",
    "my friend's boss",
    "the people next door",
    "your owner",
)
_RELATIONS = (
    "my husband",
    "my wife",
    "my mother",
    "my grandfather",
    "my best friend",
    "my flatmate",
    "my boss",
    "my uncle",
    "my daughter",
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
_COMMON = frozenset(
    "what which where when who whose how does with name called this that have from then your mine ours there their"
    " about into know been being"
    " were when would could should want wants need needs call tell answer question right correct message reply"
    " only always every always never".split()
)
_OWN = re.compile(r"\b(my|i|we|our|me|mine)\b", re.IGNORECASE)


def somebody_else(question: str) -> list[str]:
    """The question turned to other people: "my sister's name" becomes "my neighbour's sister's name"."""
    out = []
    for person in (*_PEOPLE, *_RELATIONS):
        verb = "do" if person.endswith("people next door") else "does"
        be = "are" if verb == "do" else "is"
        text = re.sub(r"\b(?:do|did) (?:I|we)\b", f"{verb} {person}", question, flags=re.IGNORECASE)
        text = re.sub(r"\b(?:am I|are we)\b", f"{be} {person}", text, flags=re.IGNORECASE)
        text = re.sub(
            r"\b(?:my|our)\b"
            r"(?! (?:neighbour|colleague|friend's boss|husband|wife|mother|grandfather"
            r"|best friend|flatmate|boss|uncle|daughter)\b)",
            "their" if person in text else f"{person}'s",
            text,
            flags=re.IGNORECASE,
        )
        if text != question:
            out.append(text)
    if re.search(r"\b(my|our)\b", question, re.IGNORECASE):
        out.append(re.sub(r"\b(?:my|our)\b", "your", question, flags=re.IGNORECASE))
    return out


def something_else(question: str, rng: np.random.Generator, count: int = 8) -> list[str]:
    """The question about another of its sort: "On which day is my dentist appointment?" beside the choir practice."""
    match = re.search(
        r"\b(?:my|our) ([a-z][\w-]*"
        r"(?: (?!is\b|are\b|was\b|when\b|if\b|in\b|on\b|at\b|for\b|to\b|every\b|called\b|named\b)[a-z][\w-]*)?)",
        question, re.IGNORECASE,
    )  # fmt: skip
    if match is None:
        return []
    own = match.group(1).lower().removesuffix("'s").split()
    for sort in _SORTS:
        if own[0] in sort or own[-1] in {word for thing in sort for word in thing.split()}:
            break
    else:
        sort = _SORTS[-1]
    if own[0] in sort:
        own = own[:1]  # "my sister's name": the name stays
    others = [thing for thing in sort if not set(thing.split()) & set(own)]
    end = match.start(1) + len(" ".join(own))
    return [question[: match.start(1)] + others[i] + question[end:] for i in rng.permutation(len(others))[:count]]


def in_general(lesson: Lesson) -> list[str]:
    """What the words of the lesson mean: "What is a robin?" beside "hand the case to Team Robin"."""
    text = f"{lesson.question or ''} {lesson.answer or lesson.note}"
    words = list(dict.fromkeys(w for w in normalise(text).split() if len(w) > 3 and w.isalpha() and w not in _COMMON))
    forms = (
        "What is a {w}?",
        "What does the word {w} mean?",
        "Tell me something about {w}.",
        "Use the word {w} in a sentence.",
        "What is {w}?",
    )
    return [forms[i % len(forms)].format(w=word) for i, word in enumerate(words)]


def nearest(text: str, embedder: Embeds, vectors_ND: np.ndarray) -> list[str]:
    """Ordinary messages by their similarity to `text`, nearest first.

    Those that may be the same question are left out: above 0.85, and above 0.6 where both speak of the user's own
    things ("Do I have any allergies?" is no near miss of "What am I allergic to?").
    """
    similarity_N = vectors_ND @ embedder.embed([text])[0]
    own = _OWN.search(text) is not None
    limits = [0.6 if own and _OWN.search(message) else 0.85 for message in bank.ordinary()]
    return [bank.ordinary()[i] for i in np.argsort(-similarity_N) if similarity_N[i] < limits[i]]


def real_things(kind: str, rng: np.random.Generator, count: int) -> list[str]:
    """Questions about real things of a class, each with a real name in it."""
    forms = bank.templates(kind)
    if not forms:
        return []
    known = [form.replace("{x}", name) for form, name in forms]
    names = bank.names("real")[kind]
    crossed = [form.replace("{x}", names[int(rng.integers(len(names)))]) for form, _ in forms]
    pool = list(dict.fromkeys(known + crossed))
    return [pool[i] for i in rng.permutation(len(pool))[:count]]


def interleave(*pools: Sequence[str], count: int, forbidden: set[str]) -> list[str]:
    """Take from the pools in turn, no message twice, none whose normal form is forbidden, until there are `count`."""
    out: dict[str, str] = {}
    queues = [list(pool) for pool in pools]
    while len(out) < count and any(queues):
        for queue in queues:
            while queue:
                text = queue.pop(0)
                key = normalise(text)
                if key not in forbidden and key not in out:
                    out[key] = text
                    break
            if len(out) == count:
                break
    return list(out.values())
