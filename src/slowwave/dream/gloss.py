"""What the model itself says that a thing is, as another way to speak of it: "a person who owns a property" for a
landlord. A question may name neither the thing nor a synonym, only what it is for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from slowwave.dream.filters import Embeds
from slowwave.dream.parts import Parts, parts
from slowwave.records import Lesson

_WORDS = 14  # of a gloss at most: the first of a longer one
_NEAR = 0.3  # least cosine of a gloss to its word: a small model makes some up
_FORMS = (
    "I mean {g}. Which {a} is it in my case?", "It's about {g}, my own one. Which {a}?", "{G}: what do I say for mine?",
    "For me, what is it with {g}?", "Which {a} do I give for {g}, I mean mine?", "I have {g}. Which {a} was it again?",
    "My own case: {g}. The {a}?", "Can you name the {a}? It's {g} that I have.",
)  # fmt: skip
_WAYS = (
    "I'm dealing with {g}. What do {w} do?", "There is {g} here. What's the next step?", "What is {o} way with {g}?",
    "It's about {g}. How do {w} do it here?", "{G}: what comes first?", "Who or what do {w} need for {g}?",
)  # fmt: skip


def things(question: str) -> list[str]:
    """The words whose meaning may stand for them: what is the user's own, and what is asked for."""
    found = parts(question)
    if found is None:
        return []
    own = [
        match[1]
        for phrase in found.phrases
        if (match := re.fullmatch(r"(?:my|our|the|an?) ((?!one\b)[a-z]{3,}(?: [a-z]{3,})?)", phrase)) is not None
    ]
    return list(dict.fromkeys(own))[:2]


def glosses(engine: Any, embedder: Embeds, lessons: Sequence[Lesson]) -> dict[str, str]:
    """What the base says that each thing is, by thing; none where it does not say what a thing is."""
    words = list(dict.fromkeys(word for lesson in lessons for word in things(lesson.question or "")))
    if not words:
        return {}
    replies = engine.generate(
        [[{"role": "user", "content": f"What is {article(word)} {word}?"}] for word in words],
        max_new_tokens=32,
        batch=engine.rows,
    )
    said = {word: _gloss(word, row[0].text) for word, row in zip(words, replies, strict=True)}
    kept = {word: gloss for word, gloss in said.items() if gloss is not None}
    if not kept:
        return {}
    near_N = (embedder.embed(list(kept)) * embedder.embed(list(kept.values()))).sum(-1)
    return {word: gloss for (word, gloss), near in zip(kept.items(), near_N, strict=True) if near > _NEAR}


def wordings(question: str, known: dict[str, str], rng: np.random.Generator, kind: str | None) -> list[str]:
    """The question with its things said by what they are."""
    found: Parts | None = parts(question)
    if found is None:
        return []
    asks = kind or found.asks
    w, o = ("we", "our") if found.ours else ("I", "my")
    forms = _WAYS if found.how else _FORMS
    out = []
    for word in things(question):
        if (gloss := known.get(word)) is not None:
            for i in rng.permutation(len(forms))[:4]:
                out.append(forms[i].format(g=gloss, G=gloss[:1].upper() + gloss[1:], a=asks, w=w, o=o))
    return out


def _gloss(word: str, text: str) -> str | None:
    """ "A tram is a type of vehicle that runs on tracks, typically in cities.": "a vehicle that runs on tracks"."""
    subject = rf"(?:an? |the )?{re.escape(word)} (?:is|refers to)"
    match = re.match(rf"{subject} ((?:an?|the) [^.,;:(]+)", text, re.IGNORECASE)
    if match is None:
        return None
    gloss = re.sub(r"^(?:an?|the) (?:type|kind|form|piece) of (?:an? )?", lambda _: "a ", match[1].strip())
    words = gloss.split()[:_WORDS]
    while words and words[-1].lower() in (
        "and",
        "or",
        "of",
        "to",
        "a",
        "an",
        "the",
        "that",
        "which",
        "in",
        "with",
        "for",
    ):
        words.pop()
    alone = set(word.split()) & {w.lower().rstrip("s") for w in words}
    return " ".join(words) if len(words) > 3 and not alone else None


def article(word: str) -> str:
    """The indefinite article of a word."""
    return "an" if word[0] in "aeiou" else "a"
