"""How an answer speaks: words of some eighty classes and two dozen marks, counted.

The classes are those by which registers of English were told apart (Biber, "Variation across Speech and Writing",
1988, appendix II: tense, pronouns, modals, hedges, amplifiers, subordination ...), made into plain patterns of words,
and some forty themes and tones beside them. What a user likes is mostly more of one of these, or less.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files

_MARKS = (
    "!", r"\?", ",", ";", ":", r"[()\[\]]", r"[\"“”]", "[–—]| - ", r"\w-\w", "['’]",
    r"\b\w+['’](?:t|re|ve|ll|d|m|s)\b", r"[*_#`|/&<>{}\\=+]", r"(?m)^\s*(?:[-*\N{BULLET}]|\d+[.)])\s", r"\n",
    r"\.\.\.", r"[^\x00-\x7f]", r"\d", r"\b\d[\d,.]*\b",
    r"\b(?:1[5-9]|20)\d\d\b", r"\d\s?(?:%|kg|km|cm|m|miles|degrees|°|hours|minutes|years|days|dollars|pounds)|\$\d",
    r"(?<![.!?:\n] )(?<!^)\b[A-Z][a-z]{2,}", r"\b[A-Z]{2,}\b", r"\b\w{8,}\b", r"\b\w{11,}\b", r"\b\w{1,3}\b",
    r"\bnot\b|n['’]t\b|\b(?:no|never|without|nor|neither|cannot)\b", r", (?:which|who|where)\b|\b(?:who|which|whose)\b",
    r":(?:\s|$)|\b(?:here(?:['’]s| is| are)|following|let['’]s|as follows|in this|one of|refers to)\b",
)  # fmt: skip


def counts(answer: str) -> list[float]:
    """How often each class of words and each mark stands in the answer, in a fixed order."""
    return [float(len(pattern.findall(answer))) for pattern in _patterns()]


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    raw = (files("slowwave.dream") / "data" / "styles.json").read_text(encoding="utf-8")
    words = [re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for words in json.loads(raw).values()]
    return (*words, *(re.compile(mark) for mark in _MARKS))
