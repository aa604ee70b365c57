"""What can be read off an answer without a model: its length, how it is built, to whom it speaks, what it echoes."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from slowwave.exam.match import UNKNOWN_PHRASES, normalise, passes
from slowwave.records import Check

_ITEM = re.compile(r"^\s*(?:[-*\N{BULLET}]|\d+[.)])\s", re.MULTILINE)
_NICE = re.compile(
    r"\b(?:please|thanks?|sorry|glad|happy|pleasure|welcome|great|love|wonderful|delighted)\b", re.IGNORECASE
)
_GREETING = re.compile(r"^\W*(?:hi|hello|hey|good (?:morning|evening|day)|dear|welcome)\b", re.IGNORECASE)
_SMALL = frozenset(
    "a an the of to in on at by for from with and or but if is are was were be do does did have has i you he she it we"
    " they me my your his her its our their this that what which who where when why how not no can will would"
    " should".split()
)


def traits(question: str, answer: str) -> np.ndarray:
    """The figures of one answer, float32[T]; counts as log(1 + n), shares in [0, 1]."""
    words = answer.split()
    lower = [word.strip(".,;:!?\"'()").lower() for word in words]
    many = max(1, len(words))
    ends = len(re.findall(r"[.!?](?:\s|$)", answer))
    asked, said = _content(question), _content(answer)
    triples = list(zip(lower, lower[1:], lower[2:], strict=False))
    count = np.log1p
    return np.array([
        count(len(words)), count(ends), count(len(words) / max(1, ends)), count(answer.strip().count("\n")),
        count(len(_ITEM.findall(answer))), count(answer.count("!")), count(answer.count("?")),
        sum(any(sign.isdigit() for sign in word) for word in words) / many,
        sum(word[:1].isupper() for word in words[1:]) / many,
        answer.rstrip().endswith((".", "!", "?", '"', ")")),
        sum(word in ("i", "i'm", "i've", "me", "my", "we", "our", "us") for word in lower) / many,
        sum(word in ("you", "your", "you're", "yours") for word in lower) / many,
        _unknown(answer),
        len(asked & said) / max(1, len(asked)), len(asked & said) / max(1, len(said)),
        1 - len(set(triples)) / max(1, len(triples)), sum(map(len, lower)) / many / 10, count(answer.count('"')),
        count(len(re.findall(r"[*_#`|\[\]{}]", answer))), count(len(_NICE.findall(answer))),
        lower[:1] in (["i"], ["i'm"], ["i'd"]), lower[:1] in (["yes"], ["no"], ["yeah"], ["sure"]),
        _GREETING.match(answer) is not None, count(answer.count(",")),
    ], np.float32)  # fmt: skip


@lru_cache(maxsize=4096)
def _unknown(answer: str) -> bool:
    return passes(answer, Check(any_of=UNKNOWN_PHRASES))


def _content(text: str) -> set[str]:
    return {word for word in normalise(text).split() if word not in _SMALL}
