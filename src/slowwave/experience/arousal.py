"""Arousal: how intense a moment is for the user, in [0, 1]. Affect, emphasis, and the same complaint again.

Affect is VADER's compound valence without its sign (Hutto & Gilbert 2014; MIT licence): 7,500 rated words and
emoticons with negation, in one pure-Python file of 0.4 MB that loads in 10 ms. A small list of our own would be lighter
by nothing that matters and miss most words. It reads the user's words only: the assistant's tone is no evidence.
"""

from __future__ import annotations

import math
import re
from functools import cache

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

AFFECT = 0.6  # the most that affect alone can give: kind words are ordinary, shouting and insisting are not
SAME_COMPLAINT = 0.75  # cosine similarity (MiniLM) from which two complaints are the same one
READ = 4000  # characters; VADER is linear, but a pasted log says nothing about its sender's mood
_WORD = re.compile(r"[^\W\d_]{2,}")
_SHOUT = re.compile(r"[!?]{2,}")


def affect(text: str) -> float:
    """The strength of the feeling in the words, whichever its sign, in [0, 1]."""
    return abs(float(_analyzer().polarity_scores(text[:READ])["compound"]))


def emphasis(text: str) -> float:
    """Capitals and exclamation marks, in [0, 1]. One word in capitals among others may be a name such as NASA."""
    words = _WORD.findall(text[:READ])
    capitals = [word for word in words if word.isupper()]
    shouted = len(capitals) / len(words) if capitals and (len(capitals) > 1 or len(words) == 1) else 0.0
    marks = sum(len(run) - 1 for run in _SHOUT.findall(text[:READ]) if "!" in run)
    return 1.0 - (1.0 - min(1.0, shouted)) * math.exp(-0.4 * marks)


def arousal(text: str, repeated: int) -> tuple[float, str]:
    """Arousal of the user's words, and why.

    Args:
        repeated: how many earlier complaints were this one.
    """
    felt, stressed, again = AFFECT * affect(text), emphasis(text), 1.0 - 0.5**repeated
    value = 1.0 - (1.0 - felt) * (1.0 - stressed) * (1.0 - again)  # each can raise it alone, none beyond 1
    parts = []
    if felt >= 0.1:
        parts.append(f"the words are {'strongly' if felt > 0.4 else 'somewhat'} charged")
    if stressed >= 0.1:
        parts.append("they are stressed by capitals or exclamation marks")
    if repeated:
        parts.append(f"the same complaint came {repeated} time{'s' if repeated > 1 else ''} before")
    return value, (", ".join(parts).capitalize() or "The user's words are calm") + "."


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()
