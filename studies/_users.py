"""Simulated users: each finds an answer good by rules that it never breaks, and says so with some noise.

The rules are about the text of the answer, and of many kinds, so that no one figure of the judge's tells them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

Rule = Callable[[str, str], bool]  # question, answer -> good


def _has(words: str) -> Rule:
    pattern = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    return lambda question, answer: bool(pattern.search(answer))


def _not(rule: Rule) -> Rule:
    return lambda question, answer: not rule(question, answer)


def _both(one: Rule, other: Rule) -> Rule:
    return lambda question, answer: one(question, answer) and other(question, answer)


def _words(answer: str) -> int:
    return len(answer.split())


def _named(question: str, answer: str) -> bool:
    return bool(re.search(r"(?<![.!?:\n] )(?<!^)\b[A-Z][a-z]{2,}", answer))


_brief: Rule = lambda question, answer: _words(answer) <= 25  # noqa: E731
_one_line: Rule = lambda question, answer: "\n" not in answer.strip()  # noqa: E731
_ended: Rule = lambda question, answer: answer.rstrip().endswith((".", "!", "?"))  # noqa: E731
_ai = _has("AI|chatbot|assistant|language model|program|trained|digital")
_warm = _has("please|thank(?:s| you)|sorry|glad|happy|welcome|love|great|wonderful|!")
_careful = _has("may|might|could|perhaps|probably|usually|often|sometimes|generally|depends")
_example = _has("for example|such as|for instance|like")
_self = _has("I|I'm|my|me")
_you = _has("you|your|yours")
_step = _has("first|then|next|finally|step|start|begin")

USERS: dict[str, Rule] = {
    "brief": _brief,
    "long": _not(_brief),
    "one line": _one_line,
    "whole sentences to the end": _ended,
    "no talk of being an AI": _not(_ai),
    "sober": _not(_warm),
    "careful words": _careful,
    "examples": _example,
    "not about itself": _not(_self),
    "speaks to me": _you,
    "names": _named,
    "steps": _step,
    "brief, and sober": _both(_brief, _not(_warm)),
    "one line, and not about itself": _both(_one_line, _not(_self)),
    "speaks to me, in whole sentences": _both(_you, _ended),
    "names, and no talk of being an AI": _both(_named, _not(_ai)),
}


def labels(rule: Rule, pairs: list[tuple[str, str]], noise: float, draw: np.random.Generator) -> np.ndarray:
    """What a user says of answers to questions, good_N: the rule, each turned round with a chance of `noise`."""
    good_N = np.array([rule(question, answer) for question, answer in pairs])
    return good_N ^ (draw.random(len(pairs)) < noise)
