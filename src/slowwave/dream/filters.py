"""Which generated wordings survive: same meaning, same person, no copy, and nothing of the answer in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from slowwave.exam.match import normalise

_FIRST = re.compile(r"\b(my|i|me|mine|we|our|us|i'm)\b", re.IGNORECASE)
_SECOND = re.compile(r"\b(your|yours)\b", re.IGNORECASE)
_ASKS = re.compile(
    r"\?|^(tell|say|give|name|remind|explain|show|walk|list"
    r"|describe|please|help|i need|i'd like|i want|i can't|i forgot"
    r"|i keep|let me know|where|what|who|how|which|when)\b",
    re.IGNORECASE,
)

# A rewording may change the question word, but not to one that asks for another kind of thing.
_WORDS = {
    "what": {"what", "which", "who", "how"}, "which": {"what", "which", "who", "where", "when", "how"},
    "who": {"who", "what", "which", "whose"},
    "where": {"where", "which", "what"}, "when": {"when", "what", "which"}, "how": {"how", "what", "which"},
    "why": {"why", "what"},
}  # fmt: skip
_OWNED = re.compile(r"'s (?:\w+ )?(\w+)|\bmy (\w+)", re.IGNORECASE)


class Embeds(Protocol):
    """What the dreamer needs of an embedder: L2-normalised float32[N, D]."""

    def embed(self, texts: Sequence[str]) -> np.ndarray: ...


def lines(text: str) -> list[str]:
    """The wordings in one generation: its list items, without bullets and quotes; the last may be cut off: dropped."""
    items = [
        re.sub(r"^\s*(?:[-*\N{BULLET}]|\d+[.)])\s*", "", line).strip().strip('"')
        for line in text.split("\n\n")[0].split("\n")
    ]
    whole = items if text.endswith("\n") or "\n\n" in text else items[:-1] or items
    return [item for item in whole if item]


def fits(line: str, question: str, answer: str | None) -> bool:
    """Rules that need no model: length, person, a question or request, not the question, no word of the answer."""
    words = line.split()
    if not 2 <= len(words) <= 40 or len(line) > 240 or not _ASKS.search(line):
        return False
    if normalise(line) == normalise(question):
        return False
    if bool(_FIRST.search(question)) and not _FIRST.search(line):
        return False
    if bool(_SECOND.search(line)) and not _SECOND.search(question):
        return False
    given = set(normalise(question).split())
    asked, asks = _question_word(question), _question_word(line)
    if asked and asks and asks not in _WORDS[asked]:
        return False
    owned = {next(group for group in match.groups() if group).lower() for match in _OWNED.finditer(line)}
    if owned - given - {"name", "first", "full", "own"} and _OWNED.search(question):
        return False  # somebody's or something else's: "my sister's friend", "my mother"
    return keeps_secret(line, question, answer)


def keeps_secret(line: str, question: str, answer: str | None) -> bool:
    """Whether the wording gives away no word of the answer that the question does not have."""
    told = {word for word in normalise(answer or "").split() if len(word) > 3} - set(normalise(question).split())
    return not told & set(normalise(line).split())


def choose(
    candidates: Sequence[tuple[str, str]],
    question: str,
    embedder: Embeds,
    *,
    least: float,
    count: int,
    others_ND: np.ndarray,
    most: float = 0.985,
) -> list[tuple[str, str, float]]:
    """The `count` best of (family, wording): near enough to the question, no two nearly the same, families in turn.

    A wording that lies nearer to one of `others_ND` (embeddings of ordinary messages) than to the question has drifted
    into another question ("What is my mother's name?") and is dropped.

    Returns:
        (family, wording, cosine similarity to the question), at most `count`.
    """
    unique = list({normalise(text): (family, text) for family, text in candidates}.values())
    if not unique:
        return []
    vectors_ND = embedder.embed([question, *(text for _, text in unique)])
    to_question_N = vectors_ND[1:] @ vectors_ND[0]
    strayed_N = (vectors_ND[1:] @ others_ND.T).max(-1, initial=-1.0) > to_question_N
    kept: list[int] = []
    used: dict[str, int] = {}
    while len(kept) < count:
        best, best_score = None, -np.inf
        for i, (family, _) in enumerate(unique):
            if i in kept or strayed_N[i] or to_question_N[i] < least:
                continue
            near = max((float(vectors_ND[1 + i] @ vectors_ND[1 + j]) for j in kept), default=0.0)
            if near > most:
                continue
            # meaning counts most; a family that has been used and a near neighbour already kept count against it
            score = 0.5 * float(to_question_N[i]) - 0.4 * near - 0.25 * used.get(family, 0)
            if score > best_score:
                best, best_score = i, score
        if best is None:
            break
        kept.append(best)
        used[unique[best][0]] = used.get(unique[best][0], 0) + 1
    return [(*unique[i], float(to_question_N[i])) for i in kept]


def _question_word(text: str) -> str | None:
    found = re.search(r"\b(what|which|who|where|when|how|why)\b", text, re.IGNORECASE)
    return found.group(1).lower() if found else None
