"""What can be read off an answer without a model: how it speaks, how it is built, what it takes up of the question."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

import numpy as np

from slowwave.dream import styles
from slowwave.exam.match import UNKNOWN_PHRASES, normalise, passes
from slowwave.records import Check

_SMALL = frozenset(
    "a an the of to in on at by for from with and or but if is are was were be do does did have has i you he she it we"
    " they me my your his her its our their this that what which who where when why how not no can will would"
    " should".split()
)
_OPENING = 12  # words that are an answer's beginning
_STEM = 5  # letters of a long word by which its plural is the same
_BEGINNINGS = (("i", "i'm", "i'd"), ("yes", "no", "yeah", "sure"), ("hi", "hello", "hey", "good", "dear", "welcome"),
               ("the",), ("a", "an"), ("to",))  # fmt: skip


def traits(question: str, answer: str) -> np.ndarray:
    """The figures of one answer, float32[T]: counts, their shares of its words, and how it is built."""
    words = re.findall(r"[\w'’]+", answer.lower())
    counts = styles.counts(answer)
    shares = [count / max(1, len(words)) for count in counts]
    found = [*counts, *shares, *_built(answer, words), *_repeated(words), *_beside(question, answer, words)]
    return np.array(found, np.float32)


def _built(answer: str, words: list[str]) -> list[float]:
    """Lengths, of the whole and of its sentences in words; how it begins and ends."""
    sentences = [part for part in re.split(r"(?<=[.!?:])\s+|\n+", answer.strip()) if re.search(r"\w", part)]
    lengths = [len(re.findall(r"[\w'’]+", part)) for part in sentences] or [0]
    syllables = [len(re.findall("[aeiouy]+", word)) for word in words] or [0]
    end = answer.rstrip()
    return [
        len(words), len(answer), len(sentences), len(re.findall(r"[.!?](?:\s|$)", answer)), float(np.mean(lengths)),
        max(lengths), min(lengths), float(np.std(lengths)), lengths[0], lengths[-1],
        float(np.mean([len(word) for word in words] or [0])),
        float(np.mean(syllables)), float(np.mean([count > 2 for count in syllables])),
        end.endswith((".", "!", "?", '"', ")")), end.endswith("?"), end.endswith("!"),
        *(words[:1] != [] and words[0] in some for some in _BEGINNINGS), _unknown(answer),
    ]  # fmt: skip


def _repeated(words: list[str]) -> list[float]:
    """How many words and runs of three come again, what share is new, how often the most frequent word of content."""
    content = [word for word in words if word not in _SMALL]
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return [
        len(words) - len(set(words)), len(set(words)) / max(1, len(words)), len(set(content)),
        len(content) / max(1, len(words)), max(Counter(content).values(), default=0),
        len(set(triples)) / max(1, len(triples)),
    ]  # fmt: skip


def _beside(question: str, answer: str, words: list[str]) -> list[float]:
    """What of the question the answer takes up, how soon, how far into it, and how much it adds."""
    asked, said = _content(question), _content(answer)
    stems, told = _stems(question), _stems(answer)
    places = [at / len(words) for at, word in enumerate(words, 1) if word[:_STEM] in stems]
    opening = set(words[:_OPENING])
    return [
        len(words) / max(1, len(question.split())), len(asked & said) / max(1, len(asked)),
        len(asked & said) / max(1, len(said)), len(asked & opening), len(asked & opening) / max(1, len(asked)),
        len(told - stems), len(told & stems), len(told & stems) / max(1, len(stems)),
        len(told & stems) / max(1, len(told)), max(places, default=0.0), min(places, default=1.0),
        len(places) / max(1, len(words)),
    ]  # fmt: skip


@lru_cache(maxsize=4096)
def _unknown(answer: str) -> bool:
    return passes(answer, Check(any_of=UNKNOWN_PHRASES))


def _content(text: str) -> set[str]:
    return {word for word in normalise(text).split() if word not in _SMALL}


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in re.findall(r"[a-z']+", text.lower()) if len(word) > 3 and word not in _SMALL}
