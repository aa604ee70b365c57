"""Rewordings from a thesaurus: whole question forms ("where do I work", "who is my employer") and single words.

A 135M model rewords poorly (it makes a brother of a sister), so what people say instead is looked up, not dreamt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Literal

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
_SENSES = 3  # groups of a word that may be replaced
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


@dataclass(frozen=True)
class _Sense:
    """One group of a word: what can stand for it, and whether that is done or is a thing, where the group shows it."""

    others: tuple[str, ...]
    of: Literal["verb", "noun", "either"]


_DONE = re.compile(  # "put away", "make a copy of"
    r"(?:put|take|get|give|do|be|am|go|make|have|bring|send|turn|pay|set|keep|let|fill|leave|look|throw|hand|pick|carry|ask"
    r"|sign|call|check|pass|write|find|hold|cut|clear|wash|clean|wipe|fix|secure|shut|close|lock|run|work|come|tell|show"
    r"|stay|switch|tidy|wind|wrap|tie|roll|shell|fork|lay|drop|hang|sort|clock|log|hold|say|use) (?:up|out|off|on|in"
    r"|into|down|away|back|over|an?|the|to|with|for|it|someone|somebody|by|around|through|about|together|at|forward)\b.*"
)
_BEFORE_A_THING = frozenset(
    "my our your his her their its the a an this that these those some any no every each with without at in on of for"
    " from by about into under behind near after before during".split()
)
_BEFORE_A_DEED = frozenset("i we you they to who".split())


@cache
def _words() -> dict[str, tuple[_Sense, ...]]:
    """Word -> its senses. Words of many groups have too many, and are left alone; of a few, the base and the embedder
    tell which is meant (`wordings.natural`)."""
    out: dict[str, list[_Sense]] = {}
    for group in bank.thesaurus()[0]:
        whole = any(f" {m}" in other for m in group for other in group) or any(" of " in m for m in group)
        of: Literal["verb", "noun", "either"] = "noun" if whole else "either"
        of = "verb" if any(_DONE.fullmatch(m) for m in group) else of
        for m in group:
            out.setdefault(m, []).append(_Sense(tuple(o for o in group if o != m), of))
    return {
        m: tuple(senses) for m, senses in out.items() if len(senses) <= _SENSES and len(m) > 2 and m not in _FUNCTION
    }


def alike(words: str) -> set[str]:
    """Other names of what the words name, a bike of a bicycle."""
    of = (sense for word in words.lower().split() for sense in _words().get(word, ()))
    return {other for sense in of for other in sense.others}


def words(question: str, rng: np.random.Generator, count: int) -> list[str]:
    """The question with one or two of its words replaced."""
    bare = question.lower().strip().rstrip("?.! ")
    places = _places(bare)
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


def _places(bare: str) -> list[tuple[str, list[str]]]:
    """The members that a text has, none inside a longer one, and what can stand there for each."""
    found = []
    for member, senses in _words().items():
        if member not in bare:  # patterns are slow to make
            continue
        if match := re.search(rf"(?<![\w'-]){re.escape(member)}(?![\w-])", bare):
            before = (bare[: match.start()].split() or [""])[-1]
            barred = "verb" if before in _BEFORE_A_THING else "noun" if before in _BEFORE_A_DEED else ""
            others = [other for sense in senses if sense.of != barred for other in sense.others]
            found.append((match.span(), member, others))
    inside = lambda span: any(a <= span[0] and span[1] <= b and (a, b) != span for (a, b), _, _ in found)  # noqa: E731
    return [(member, others) for span, member, others in found if others and not inside(span)]


def rewordings(question: str, rng: np.random.Generator, count: int) -> list[str]:
    """Up to `count` rewordings, as sentences: other forms first, then other words, then both."""
    forms = questions(question)
    forms = [forms[i] for i in rng.permutation(len(forms))]
    plain = words(question, rng, count)
    both = [text for form in forms for text in words(form, rng, 3)]
    mixed = [text for row in zip_longest(forms, plain, both) for text in row if text is not None]
    own = question.lower().strip().rstrip("?.! ")
    return [sentence(text) for text in dict.fromkeys(mixed) if text != own][:count]


def sentence(text: str) -> str:
    """Lower-case text as a question: a capital, "I" as people write it, a question mark."""
    text = re.sub(r"\bi\b", "I", text)
    return text[:1].upper() + text[1:] + "?"
