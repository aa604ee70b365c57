"""Rewordings from a thesaurus: whole question forms ("where do I work", "who is my employer") and single words.

A 135M model rewords poorly (it makes a brother of a sister), so what people say instead is looked up, not dreamt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
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
    return tuple(tuple((_pattern(form), form) for form in group) for group in bank.question_forms())


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
def _words(wide: bool = False) -> dict[str, list[str]]:
    """Word -> what can stand for it. Words of several groups have several senses, and are left alone; what further
    groups say of a word that an earlier one has is another sense of it."""
    groups, further = bank.thesaurus(wide)
    out: dict[str, list[str]] = {}
    for some in (groups, further):
        seen = Counter(member for group in some for member in group)
        known = {member for group in groups for member in group} if some is further else set()
        for group in some:
            for m in group:
                if seen[m] == 1 and m not in known and len(m) > 2 and m not in _FUNCTION:
                    out[m] = [o for o in group if o != m]
    return out


def alike(words: str, wide: bool = False) -> set[str]:
    """Other names of what the words name, a bike of a bicycle."""
    return {other for word in words.lower().split() for other in _words(wide).get(word, ())}


def words(question: str, rng: np.random.Generator, count: int, wide: bool = False) -> list[str]:
    """The question with one or two of its words replaced; `wide`: from three times as many groups."""
    bare = question.lower().strip().rstrip("?.! ")
    places = _places(bare, wide)
    if not places:
        return []
    out: dict[str, None] = {}
    for _ in range(4 * count):
        text = bare
        for i in rng.permutation(len(places))[: 1 + int(rng.integers(2))]:
            member, others = places[i]
            other = others[int(rng.integers(len(others)))]
            text = _put(text, member, other)
        if text != bare and not re.search(r"\b(\w+) \1\b|\bdo (?:i|we) (?:am|are)\b", text):
            out[text] = None
        if len(out) == count:
            break
    return list(out)


def swaps(question: str, reworded: Sequence[str]) -> list[tuple[str, str]]:
    """The words of the question that its rewordings replace, each with what stands there, from all groups."""
    found = []
    for member, others in _places(question.lower().strip().rstrip("?.! "), True):
        without = "\n".join(text.lower() for text in reworded if not _whole(member).search(text.lower()))
        found += [(member, other) for other in others if other in without and _whole(other).search(without)]
    return found


def likewise(texts: Sequence[str], swapped: Sequence[tuple[str, str]], rng: np.random.Generator) -> list[str]:
    """Every other text with one of its words replaced as the lesson's own were: other words alone must not tell that
    the lesson is meant."""
    out = []
    for text in texts:
        fitting = [pair for pair in swapped if _whole(pair[0]).search(text.lower())]
        if fitting and rng.random() < 0.5:
            member, other = fitting[int(rng.integers(len(fitting)))]
            text = sentence(_put(text.lower().rstrip("?.! "), member, other))
        out.append(text)
    return out


def _whole(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w'-]){re.escape(words)}(?![\w-])")


def _put(text: str, member: str, other: str) -> str:
    """The text with the first `member` replaced; as it is where there is none."""
    match = _whole(member).search(text)
    return f"{text[: match.start()]}{other}{text[match.end() :]}" if match else text


def _places(bare: str, wide: bool) -> list[tuple[str, list[str]]]:
    """The members that a text has, and what can stand for each; of all groups none that is inside a longer one (the
    book of a book club)."""
    found = []
    known = _words(wide)
    for member in (*known, *_ambiguous()) if wide else known:
        if member in bare and (  # patterns are slow to make
            match := _whole(member).search(bare)
        ):
            found.append((*match.span(), member))
    inside = lambda a, b: any(c <= a and b <= d and (c, d) != (a, b) for c, d, _ in found)  # noqa: E731
    return [(member, known[member]) for a, b, member in found if member in known and not (wide and inside(a, b))]


@cache
def _ambiguous() -> frozenset[str]:
    """Expressions of several words that are left alone, and whose words are no words of their own."""
    return frozenset(
        member for some in bank.thesaurus(wide=True) for group in some for member in group
        if " " in member and member not in _words(wide=True)
    )  # fmt: skip


def rewordings(question: str, rng: np.random.Generator, count: int, wide: bool = False) -> list[str]:
    """Up to `count` rewordings, as sentences: other forms first, then other words, then both."""
    forms = questions(question)
    forms = [forms[i] for i in rng.permutation(len(forms))]
    plain = words(question, rng, count, wide)
    both = [text for form in forms for text in words(form, rng, 3, wide)]
    mixed = dict.fromkeys(text for row in zip_longest(forms, plain, both) for text in row if text is not None)
    if wide:  # among so many words some lead back to the question
        mixed.pop(question.lower().strip().rstrip("?.! "), None)
    return [sentence(text) for text in mixed][:count]


def sentence(text: str) -> str:
    """Lower-case text as a question: a capital, "I" as people write it, a question mark."""
    text = re.sub(r"\bi\b", "I", text)
    return text[:1].upper() + text[1:] + "?"
