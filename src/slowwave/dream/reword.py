"""Rewordings from a thesaurus: whole question forms ("where do I work", "who is my employer") and single words.

A 135M model rewords poorly (it makes a brother of a sister), so what people say instead is looked up, not dreamt.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import zip_longest

import numpy as np

from slowwave.dream import bank

_FUNCTION = frozenset(
    "all and any are can did does for get got had has have her him his how its may not our out own she the"
    " was way what when where which who why you".split()
)


@cache
def _forms() -> tuple[tuple[tuple[re.Pattern[str], str], ...], ...]:
    return tuple(tuple((_pattern(form), form) for form in group) for group in bank.thesaurus()[1])


def _pattern(form: str) -> re.Pattern[str]:
    parts = re.split(r"\{([xy])\}", form)
    text = "".join(re.escape(part) if i % 2 == 0 else f"(?P<{part}>.+?)" for i, part in enumerate(parts))
    return re.compile(text.replace("what\\ is", "what(?:\\ is|'s)"))


_MOST = 24  # forms of a question
_TO_WE = {"i": "we", "my": "our", "am": "are", "me": "us", "mine": "ours", "was": "were"}
_TO_I = {"we": "i", "our": "my", "us": "me", "ours": "mine"}


def questions(question: str) -> list[str]:
    """The question in other forms with the same meaning; empty where no form fits."""
    bare = question.lower().strip().rstrip("?.! ")
    out = _fitting(bare)
    out += [text for form in out for text in _fitting(form, of_one=True)]  # "who is my landlord" of his name
    if re.search(r"\b(?:we|our|us)\b", bare):  # what one person asks, several can
        out += [_swapped(text, _TO_WE) for text in _fitting(_swapped(bare, _TO_I))]
    return [text for text in dict.fromkeys(out) if text != bare][:_MOST]


def _fitting(bare: str, of_one: bool = False) -> list[str]:
    """Forms whose group has one that the question fits; `of_one`: of the groups about one thing alone."""
    out = []
    for group in _forms():
        if of_one and "{" in group[0][1]:
            continue
        for pattern, _ in group:
            if (match := pattern.fullmatch(bare)) is not None:
                out += [re.sub(r"\{([xy])\}", lambda m: match[m.group(1)], form) for _, form in group]
                break
    return out


def _swapped(text: str, words: dict[str, str]) -> str:
    return re.sub(rf"\b(?:{'|'.join(words)})\b", lambda match: words[match.group()], text)


@cache
def _words() -> dict[str, list[str]]:
    """Word -> what can stand for it. Words of several groups have several senses, and are left alone."""
    groups = bank.thesaurus()[0]
    seen = Counter(member for group in groups for member in group)
    return {
        m: [o for o in group if o != m]
        for group in groups
        for m in group
        if seen[m] == 1 and len(m) > 2 and m not in _FUNCTION
    }


def alike(words: str) -> set[str]:
    """Other names of what the words name, a bike of a bicycle."""
    return {other for word in words.lower().split() for other in _words().get(word, ())}


def words(question: str, rng: np.random.Generator, count: int) -> list[str]:
    """The question with one or two of its words replaced."""
    bare = question.lower().strip().rstrip("?.! ")
    places = [
        (member, others)
        for member, others in _words().items()
        if member in bare and re.search(rf"(?<![\w'-]){re.escape(member)}(?![\w-])", bare)  # patterns are slow to make
    ]
    if not places:
        return []
    out: dict[str, None] = {}
    for _ in range(4 * count):
        text = bare
        for i in rng.permutation(len(places))[: 1 + int(rng.integers(2))]:
            member, others = places[i]
            other = others[int(rng.integers(len(others)))]
            text = re.sub(rf"(?<![\w'-]){re.escape(member)}(?![\w-])", other.replace("\\", ""), text, count=1)
        if text != bare and not re.search(r"\b(\w+) \1\b|\bdo (?:i|we) (?:am|are)\b", text):
            out[text] = None
        if len(out) == count:
            break
    return list(out)


def rewordings(question: str, rng: np.random.Generator, count: int) -> list[str]:
    """Up to `count` rewordings, as sentences: other forms first, then other words, then both."""
    forms = questions(question)
    forms = [forms[i] for i in rng.permutation(len(forms))]
    plain = words(question, rng, count)
    both = [text for form in forms for text in words(form, rng, 3)]
    mixed = [text for row in zip_longest(forms, plain, both) for text in row if text is not None]
    return [sentence(text) for text in dict.fromkeys(mixed)][:count]


def sentence(text: str) -> str:
    """Lower-case text as a question: a capital, "I" as people write it, a question mark."""
    text = re.sub(r"\bi\b", "I", text)
    return text[:1].upper() + text[1:] + "?"
