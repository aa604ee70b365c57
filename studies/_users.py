"""Simulated users: each finds an answer good by a rule that it never breaks, and says so with some noise.

A rule counts something in the text of an answer and asks for more of it than the middle answer of the pool has, or for
less; some users have two rules. The judge was changed with the users of TUNING in view, and then with those of HELD_OUT
as well, which made its figures before that, and with those of `_tastes.py`. Those of `_people.py` make them now.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Count = Callable[[str, str], float]  # question, answer -> how much of it there is


@dataclass(frozen=True)
class Wish:
    """More of something than the middle answer has, or no more than that."""

    count: Count
    more: bool


def _of(words: str) -> Count:
    pattern = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    return lambda question, answer: len(pattern.findall(answer))


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def _asked_of(question: str, answer: str) -> float:
    """Words of the question, long ones, among the first twelve of the answer."""
    return len({word for word in _words(question) if len(word) > 3} & set(_words(answer)[:12]))


_LENGTH: Count = lambda question, answer: len(answer.split())  # noqa: E731
_LINES: Count = lambda question, answer: answer.strip().count("\n")  # noqa: E731
_CUT: Count = lambda question, answer: not answer.rstrip().endswith((".", "!", "?"))  # noqa: E731
_NAMES: Count = lambda question, answer: len(re.findall(r"(?<![.!?:\n] )(?<!^)\b[A-Z][a-z]{2,}", answer))  # noqa: E731
_SELF = _of("I|I'm|I've|my|me|mine")
_YOU = _of("you|your|yours|you're")

TUNING: dict[str, tuple[Wish, ...]] = {
    "brief": (Wish(_LENGTH, False),),
    "long": (Wish(_LENGTH, True),),
    "few lines": (Wish(_LINES, False),),
    "whole to the end": (Wish(_CUT, False),),
    "no talk of being an AI": (Wish(_of("AI|chatbot|assistant|language model|digital"), False),),
    "warm": (Wish(_of("please|thanks?|sorry|glad|happy|welcome|love|great|wonderful"), True),),
    "careful words": (Wish(_of("may|might|could|perhaps|probably|usually|often|sometimes|can"), True),),
    "not about itself": (Wish(_SELF, False),),
    "speaks to me": (Wish(_YOU, True),),
    "names": (Wish(_NAMES, True),),
    "brief, and not about itself": (Wish(_LENGTH, False), Wish(_SELF, False)),
    "speaks to me, in few lines": (Wish(_YOU, True), Wish(_LINES, False)),
}

_SENTENCES: Count = lambda question, answer: len(re.findall(r"[.!?](?:\s|$)", answer))  # noqa: E731
_PER_SENTENCE: Count = lambda question, answer: _LENGTH("", answer) / max(1, _SENTENCES("", answer))  # noqa: E731
_WORD_LENGTH: Count = lambda question, answer: float(np.mean([len(w) for w in _words(answer)] or [0]))  # noqa: E731
_COMMAS: Count = lambda question, answer: answer.count(",")  # noqa: E731
_AGAIN: Count = lambda question, answer: len(_words(answer)) - len(set(_words(answer)))  # noqa: E731
_LISTED: Count = lambda question, answer: len(re.findall(r"^\s*(?:[-*]|\d+[.)])\s", answer, re.MULTILINE))  # noqa: E731
_NUMBERS: Count = lambda question, answer: sum(any(c.isdigit() for c in word) for word in answer.split())  # noqa: E731
_WE = _of("we|our|us|let's")
_JOINED = _of("and|also|as well|in addition|moreover")
_REASONS = _of("because|since|so that|therefore|which means|reason|why|due to|as it")

HELD_OUT: dict[str, tuple[Wish, ...]] = {
    "few sentences": (Wish(_SENTENCES, False),),
    "short sentences": (Wish(_PER_SENTENCE, False),),
    "plain, short words": (Wish(_WORD_LENGTH, False),),
    "learned, long words": (Wish(_WORD_LENGTH, True),),
    "few commas": (Wish(_COMMAS, False),),
    "says nothing twice": (Wish(_AGAIN, False),),
    "a list": (Wish(_LISTED, True),),
    "numbers": (Wish(_NUMBERS, True),),
    "comes to the point": (Wish(_asked_of, True),),
    "we, together": (Wish(_WE, True),),
    "not one thing after another": (Wish(_JOINED, False),),
    "reasons": (Wish(_REASONS, True),),
    "few sentences, and to the point": (Wish(_SENTENCES, False), Wish(_asked_of, True)),
    "plain words, few commas": (Wish(_WORD_LENGTH, False), Wish(_COMMAS, False)),
    "no list, says nothing twice": (Wish(_LISTED, False), Wish(_AGAIN, False)),
    "short sentences, speaks to me": (Wish(_PER_SENTENCE, False), Wish(_YOU, True)),
}


def good(wishes: tuple[Wish, ...], pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """What a user finds good of answers to questions, good_N: all of its wishes."""
    out = np.ones(len(pairs), bool)
    for wish in wishes:
        counts_N = np.array([wish.count(question, answer) for question, answer in pairs], float)
        more_N = counts_N > np.median(counts_N)
        out &= more_N if wish.more else ~more_N
    return out


def noisy(good_N: np.ndarray, noise: float, draw: np.random.Generator) -> np.ndarray:
    """What the user says of them: each turned round with a chance of `noise`."""
    return good_N ^ (draw.random(len(good_N)) < noise)
