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
_OPENING = 12  # words that are an answer's beginning
# Classes of words by what they do in a sentence, after the closed classes of English grammars (Quirk et al. 1985)
_CLASSES = {
    "adding": "and also too moreover besides furthermore additionally addition well plus both",
    "opposing": "but however although though yet while whereas instead rather despite unless except still",
    "reasoning": "because since so therefore thus hence due reason reasons why means result",
    "ordering": "first second third then next after before finally last later once step steps start begin",
    "illustrating": "example instance such like including include includes e.g especially particular",
    "hedging": "may might could perhaps maybe probably usually often sometimes generally typically likely possible can",
    "obliging": "must should need needs have has ought always never important essential necessary make sure ensure",
    "denying": "not no never none nothing neither nor cannot can't don't doesn't isn't aren't won't wouldn't unable",
    "strengthening": "very really truly extremely highly incredibly absolutely quite most best amazing perfect great",
    "defining": "is are was were refers means called known type kind form",
    "addressing": "we us our ours let's together",
    "speaking": "i me my mine i'm i've i'd i'll myself am",
    "pointing": "this these that those here there it its they them",
    "measuring": "one two three four five six seven eight nine ten half many much several few some more less",
    "placing": "of in on at by for from with into over under between through during about around across",
    "asking": "what which who where when why how would you could do is are",
}
_MEMBERS = [frozenset(words.split()) for words in _CLASSES.values()]  # a word may be of several


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
        *_beginning(asked, lower, answer), *_repeated(lower), *_classes(lower), *_marks(answer, lower),
    ], np.float32)  # fmt: skip


def _beginning(asked: set[str], lower: list[str], answer: str) -> list[float]:
    """How the answer takes up the question, and how soon it is through with a first sentence."""
    opening = set(lower[:_OPENING])
    first = re.split(r"(?<=[.!?:])\s", answer.strip(), maxsplit=1)[0].split()
    return [float(len(asked & opening)), len(asked & opening) / max(1, len(asked)), float(np.log1p(len(first)))]


def _repeated(lower: list[str]) -> list[float]:
    """How many words come again, what share is new, and how often the most frequent word of content comes."""
    content = [word for word in lower if word and word not in _SMALL]
    again = len(lower) - len(set(lower))
    often = max((content.count(word) for word in set(content)), default=0)
    return [float(np.log1p(again)), len(set(lower)) / max(1, len(lower)), float(np.log1p(often))]


def _classes(lower: list[str]) -> list[float]:
    """How many words of each class."""
    return [float(np.log1p(sum(word in members for word in lower))) for members in _MEMBERS]


def _marks(answer: str, lower: list[str]) -> list[float]:
    """Names within sentences, colons and brackets, and the shares of long and of short words."""
    many = max(1, len(lower))
    names = len(re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", answer))
    return [
        float(np.log1p(names)),
        float(np.log1p(len(re.findall(r"[:;]", answer)))), float(np.log1p(len(re.findall(r"[()]", answer)))),
        sum(len(word) > 7 for word in lower) / many, sum(len(word) < 4 for word in lower) / many,
    ]  # fmt: skip


@lru_cache(maxsize=4096)
def _unknown(answer: str) -> bool:
    return passes(answer, Check(any_of=UNKNOWN_PHRASES))


def _content(text: str) -> set[str]:
    return {word for word in normalise(text).split() if word not in _SMALL}
