"""The bank of ordinary messages, and of invented and real names by class. Written for the project; packaged with it.

Ordinary messages are anchors: the base's own answers to them must stay. Those nearest to a lesson serve as its near
misses. A bank message that names a real thing is also a template into which an invented name fits.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

# How people call a class of things, longest first where one contains another.
CLASS_WORDS = {
    "country": "country|nation|state|kingdom", "city": "city|town|village|capital",
    "element": "element|metal|substance|mineral",
    "film": "film|movie|series|show", "animal": "animal|bird|fish|creature|species|beast|insect|dog breed",
    "company": "company|firm|brand|corporation|business|shop",
    "person": "person|scientist|inventor|king|queen|author|writer|poet|painter|artist|explorer|philosopher"
    "|composer|singer|president|actor|player|somebody|someone",
    "book": "book|novel|poem|story", "product": "product|device|gadget|phone|car|machine|app|software|tool",
    "language": "language|dialect", "river": "river|lake|sea|mountain|island",
    "festival": "festival|holiday|feast|event", "medicine": "medicine|drug|pill|remedy|disease|illness",
    "game": "game|sport|board game", "food": "food|dish|fruit|cheese|drink|cake|plant|flower|tree",
}  # fmt: skip
_WIDE_CLASSES = {
    "currency": "currency|banknote", "charity": "charity|nonprofit", "team": "sports team|sports club|football club",
    "music": "song|opera|symphony|rock band|piece of music", "event": "battle|treaty|revolution|uprising",
}  # fmt: skip
_GENERIC = (
    "Tell me about {x}.", "What do you know about {x}?", "Have you heard of {x}?", "What is {x} known for?",
    "Describe {x} in a sentence.",
    "Where can I read about {x}?", "I'm curious about {x}, what can you tell me?", "Give me three facts about {x}.",
    "Why is {x} famous?",
)  # fmt: skip


def _read(name: str) -> str:
    return (files("slowwave.dream") / "data" / name).read_text(encoding="utf-8")


@cache
def _messages() -> tuple[dict[str, str], ...]:
    """Text and topic of every ordinary message, in file order."""
    return tuple(json.loads(line) for line in _read("ordinary.jsonl").splitlines() if line.strip())


@cache
def ordinary() -> tuple[str, ...]:
    """Every ordinary message, in file order."""
    return tuple(row["text"] for row in _messages())


@cache
def declined() -> tuple[str, ...]:
    """Those ordinary messages that ask for what a careful assistant does not help with."""
    return tuple(row["text"] for row in _messages() if row["topic"] == "declined")


@cache
def names(kind: str) -> dict[str, list[str]]:
    """`invented` or `real` names by class."""
    return dict(json.loads(_read(f"{kind}.json")))


def class_words(wide: bool = False) -> dict[str, str]:
    """How people call each class of things, five classes more if `wide`."""
    return CLASS_WORDS | _WIDE_CLASSES if wide else CLASS_WORDS


def class_of(*texts: str, wide: bool = False) -> str | None:
    """The class of thing that the texts speak of, by the first class word found, in order of the texts."""
    for text in texts:
        hits = [
            (match.start(), name)
            for name, words in class_words(wide).items()
            if (match := re.search(rf"\b(?:{words})s?\b", text, re.IGNORECASE))
        ]
        if hits:
            return min(hits)[1]
    return None


@cache
def alike(name: str, wide: bool = False) -> dict[str, list[str]]:
    """Invented and real names where nobody says what a thing is: of the classes whose names are spelt like `name`."""
    proper = name[:1].isupper()
    kinds = [kind for kind in class_words(wide) if names("invented")[kind][0][:1].isupper() == proper]
    mixed = {which: [names(which)[kind][i] for i in range(6) for kind in kinds] for which in ("invented", "real")}
    return {**mixed, "forms": list(_GENERIC)}


@cache
def templates(kind: str, wide: bool = False) -> tuple[tuple[str, str], ...]:
    """(template with {x}, real name): bank messages that name a real thing of the class, generic ones, and, if `wide`,
    some thirty that people ask about things of the class."""
    real = sorted(names("real").get(kind, []), key=len, reverse=True)
    found: list[tuple[str, str]] = []
    for text in ordinary():
        for name in real:
            pattern = rf"\b{re.escape(name)}\b"
            if re.search(pattern, text) or (name.islower() and re.search(pattern, text, re.IGNORECASE)):
                found.append(
                    (re.sub(pattern, "{x}", text, count=1, flags=re.IGNORECASE).replace("{x}'s", "{x}'s"), name)
                )
                break
    generic = [(form, real[i % len(real)]) for i, form in enumerate(_GENERIC)] if real else []
    asked = [(form, real[i % len(real)]) for i, form in enumerate(_wide()["askings"][kind] if real and wide else ())]
    return tuple(found + generic + asked)


@cache
def _wide() -> dict[str, Any]:
    """What more there is for many scenes: `extended` groups of words, each after the first word of the one that it goes
    on; `further` groups; `askings` about a thing {x}, by class."""
    return dict(json.loads(_read("wide.json")))


@cache
def thesaurus(wide: bool = False) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Groups of words that can replace each other, and further ones, if `wide`."""
    groups = _thesaurus()["groups"]
    if not wide:
        return tuple(map(tuple, groups)), ()
    more = {first: rest for first, *rest in _wide()["extended"]}
    longer = [(*group, *more.pop(group[0], ())) for group in groups]  # of two that begin alike the first one
    return tuple(longer), tuple(map(tuple, _wide()["further"]))


def question_forms() -> tuple[tuple[str, ...], ...]:
    """Groups of question forms with one meaning."""
    return tuple(map(tuple, _thesaurus()["questions"]))


@cache
def _thesaurus() -> dict[str, Any]:
    return dict(json.loads(_read("thesaurus.json")))


@cache
def stories() -> dict[str, list[str]]:
    """Of everyday life, to stand around a question about anything: `before` it, who `said` it, and `after` it."""
    return dict(json.loads(_read("stories.json")))


@cache
def prose() -> tuple[tuple[str, str], ...]:
    """(opening, rest) of plain passages."""
    return tuple((row["opening"], row["rest"]) for row in map(json.loads, _read("prose.jsonl").splitlines()))
