"""Near misses: the smallest changes after which a lesson must not show. Their target is the base's own answer.

None needs a model: the question with one thing changed (`minimal.py`), what the lesson's words mean in general, real
things where the lesson is about invented ones, and the ordinary messages that lie nearest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from slowwave.dream import bank
from slowwave.dream.filters import Embeds
from slowwave.dream.gloss import article
from slowwave.exam.match import normalise
from slowwave.records import Lesson

_COMMON = frozenset(
    "what which where when who whose how does with name called this that have from then your mine ours there their"
    " about into know been being"
    " were when would could should want wants need needs call tell answer question right correct message reply"
    " only always every always never".split()
)
SAME = 0.9  # cosine similarity (MiniLM) above which two questions may ask the same, unless one was changed on purpose
_OWN = re.compile(r"\b(my|i|we|our|me|mine)\b", re.IGNORECASE)


def in_general(lesson: Lesson) -> list[str]:
    """What the words of the lesson mean: "What is a robin?" beside "hand the case to Team Robin"."""
    text = f"{lesson.question or ''} {lesson.answer or lesson.note}"
    words = list(dict.fromkeys(w for w in normalise(text).split() if len(w) > 3 and w.isalpha() and w not in _COMMON))
    forms = (
        "What is {a} {w}?",
        "What does the word {w} mean?",
        "Tell me something about {w}.",
        "Use the word {w} in a sentence.",
        "What is {w}?",
    )
    return [forms[i % len(forms)].format(w=word, a=article(word)) for i, word in enumerate(words)]


def nearest(text: str, embedder: Embeds, vectors_ND: np.ndarray) -> list[str]:
    """Ordinary messages by their similarity to `text`, nearest first.

    Those that may be the same question are left out: above 0.85, and above 0.6 where both speak of the user's own
    things ("Do I have any allergies?" is no near miss of "What am I allergic to?").
    """
    similarity_N = vectors_ND @ embedder.embed([text])[0]
    own = _OWN.search(text) is not None
    limits = [0.6 if own and _OWN.search(message) else 0.85 for message in bank.ordinary()]
    return [bank.ordinary()[i] for i in np.argsort(-similarity_N) if similarity_N[i] < limits[i]]


def unlike(texts: Sequence[str], question: str, embedder: Embeds) -> list[str]:
    """Without those that may ask the same as `question`: "What is robin?" is no near miss of "What is a robin?"."""
    if not texts:
        return []
    similarity_N = embedder.embed(texts) @ embedder.embed([question])[0]
    return [text for text, similarity in zip(texts, similarity_N, strict=True) if similarity <= SAME]


def real_things(
    forms: Sequence[tuple[str, str]], names: Sequence[str], rng: np.random.Generator, count: int
) -> list[str]:
    """Questions about real things of a class, each with a real name in it: its own in every form, and another."""
    known = [form.replace("{x}", name) for form, name in forms]
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
