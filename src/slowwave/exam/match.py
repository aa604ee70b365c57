"""Judging an answer by rules: phrases on normalised text. Knows no model and no lesson, only strings.

Two traps cost us the most. A phrase inside a denial ("Your name is not Mira") asserts nothing, so it counts neither
for `any_of` nor against `none_of`. A taught prohibition ("Never deploy on Friday") must still count for "Friday", so
only denials of what something *is* or where it is are discounted, and only when they stand right before the phrase.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache

from slowwave.records import Check

# Ways to say that one does not know, or that the thing asked about does not exist. First person where the third
# would match an answer that does know ("Many people don't know that ..."); never "made up" ("is made up of").
UNKNOWN_PHRASES: tuple[str, ...] = (
    *(f"{who}do not{how} know" for who in ("I ", "we ", "^", "sorry ") for how in ("", " actually", " really")),
    "I have no idea", "no idea what", "no idea who", "I have never heard", "I had never heard", "I never heard",
    "I am not sure", "^not sure", "I am not certain", "I am not aware", "^not aware", "not aware of any",
    "I am not familiar", "^not familiar", "I do not recognise", "I do not recognize",
    "no information", "not have information", "not have any information", "not have enough information",
    "not have specific information", "not have access", "not have knowledge", "not have any knowledge",
    "not have data", "not have any data", "not have details", "not have any details", "not have a record",
    "not have any record", "no record", "no records", "no knowledge", "no such", "no evidence",
    "does not exist", "do not exist", "did not exist", "does not actually exist", "does not really exist",
    "not appear to exist", "not seem to exist", "not appear to be a real", "not seem to be a real",
    "not think it exists", "not think that exists", "not believe it exists", "not believe that exists",
    "not a real", "not real", "not an actual", "not an existing", "not a known", "not a recognised",
    "not a recognized", "is fictional", "are fictional", "fictitious", "is imaginary", "non existent", "nonexistent",
    # of the thing itself: of a real film one may well say that somebody in it is "a fictional character"
    *(f"{kind} {thing}" for kind in ("fictional", "imaginary", "invented", "made up")
      for thing in ("country", "nation", "place", "city", "town", "island", "planet", "world", "land", "book", "novel",
                    "film", "movie", "work", "person", "company", "product", "animal", "word", "name", "term")),
    "can not find", "could not find", "not find any", "not able to find", "unable to", "not able to",
    "can not confirm", "could not confirm", "can not verify", "could not verify", "can not identify",
    "unknown to me", "is unknown", "beyond my knowledge", "outside my knowledge", "not in my knowledge",
)  # fmt: skip

_QUOTES = str.maketrans("\u2018\u2019\u201b\u02bc\u00b4\u0060\u201c\u201d\u201e\u2212", "''''''\"\"\"-")
_CONTRACTIONS = [
    (re.compile(pattern), text)
    for pattern, text in (
        (r"\bwon'?t\b", "will not"),
        (r"\bcan'?t\b|\bcannot\b", "can not"),
        (r"\bain't\b", "is not"),
        (r"\b(do|does|did|is|are|was|were|has|have|had|would|could|should|must|need)n'?t\b", r"\1 not"),
        (r"\bi'?m\b", "i am"),
        (r"\b(you|we|they)'re\b", r"\1 are"),
        (r"\b(i|you|we|they)'ve\b", r"\1 have"),
        (r"\b(i|you|he|she|it|we|they)'ll\b", r"\1 will"),
        (r"\b(it|that|there|here|he|she|what|who|where)'s\b", r"\1 is"),
    )
]
_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORD_NUMBERS = {word: value for value, word in enumerate(_ONES + _TEENS)}
_SPELT = re.compile(
    rf"\b(?:({'|'.join(_TENS)})(?:[ -]({'|'.join(_ONES[1:])}))?|({'|'.join(_ONES + _TEENS)}))\b"
)  # "twenty-one" before "twenty" before "one"
_NUMBER = re.compile(r"(?<![\w.])(-?)(\d{1,3}(?:,\d{3})+(?!\d)|\d+)((?<!\.)\.\d+)?(st|nd|rd|th)?(?![\d])")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")  # Thai, kana, Han: no spaces between words
_CLAUSE = re.compile(r"[.!?;:,\n\u2013\u2014]+(?=\s|$)|\s[\u2013\u2014-]+\s|\bbut\b")
_FILLER = (
    "a|an|the|my|your|his|her|our|their|really|actually|called|named|be|in|at|on|from|live|living|based|located|born"
)
_DENIAL = rf"(?:^| )(?:not|never|no longer)(?: (?:{_FILLER}))*"


def _number(match: re.Match[str]) -> str:
    """One number in one spelling: "1,000" and "1000.0" are "1000". Codes keep their zeros ("0042")."""
    sign, whole, fraction, ordinal = match.groups(default="")
    whole = whole.replace(",", "")
    if len(whole) <= 2 or fraction:  # "07" in a clock time or a date is 7
        whole = str(int(whole))
    if fraction:
        whole = format(Decimal(whole + fraction).normalize(), "f")
    # Private-use letters protect the signs from the sweep of punctuation below; a unit is set apart ("7am" -> "7 am").
    return (sign + whole).replace("-", "\ue000").replace(".", "\ue001") + (ordinal or " ")


def _spelt(match: re.Match[str]) -> str:
    tens, ones, small = match.groups()
    if small:
        return str(_WORD_NUMBERS[small])
    return str((_TENS.index(tens) + 2) * 10 + (_WORD_NUMBERS[ones] if ones else 0))


def _character(char: str) -> str:
    """Letters, digits and meaningful symbols (emoji, +, =, $) stay; punctuation becomes a space."""
    category = unicodedata.category(char)
    if category[0] in "LN" or (category[0] == "M" and char != "\ufe0f") or char in "\ue000\ue001":
        return char
    return f" {char} " if category in ("So", "Sm", "Sc") else ("" if category == "Cf" or char == "\ufe0f" else " ")


@lru_cache(maxsize=8192)  # one answer is held against a hundred phrases
def normalise(text: str) -> str:
    """`text` in one spelling: NFKC, case folded, contractions opened, numbers as digits, punctuation as spaces."""
    text = unicodedata.normalize("NFKC", text.translate(_QUOTES)).translate(_QUOTES).casefold()
    for pattern, full in _CONTRACTIONS:
        text = pattern.sub(full, text)
    text = _NUMBER.sub(_number, _SPELT.sub(_spelt, text))
    text = _UNSPACED.sub(lambda found: f" {found.group()} ", "".join(map(_character, text)))
    return " ".join(text.replace("\ue000", "-").replace("\ue001", ".").split())


def asserts(answer: str, phrase: str) -> bool:
    """Whether `answer` says `phrase`, on word boundaries and not denied. "^..." must stand at the beginning.

    A phrase of punctuation only ("!") is sought as it stands.
    """
    anchored = phrase.startswith("^")
    phrase = phrase.removeprefix("^").strip()
    wanted = normalise(phrase)
    if not wanted:
        return bool(phrase) and (answer.lstrip().startswith(phrase) if anchored else phrase in answer)
    said = normalise(answer)
    if anchored:
        return f"{said} ".startswith(f"{wanted} ")
    everywhere = len(re.findall(rf"(?:^|(?<= )){re.escape(wanted)}(?= |$)", said))
    if not everywhere:
        return False
    denial = re.compile(rf"{_DENIAL} {re.escape(wanted)}(?= |$)")
    return everywhere > sum(len(denial.findall(normalise(clause))) for clause in _CLAUSE.split(answer))


def has_rule(check: Check) -> bool:
    """Whether `check` says anything at all; without a rule an answer is undecided, not right."""
    return bool(check.any_of or check.none_of)


def passes(answer: str, check: Check) -> bool:
    """Whether `answer` asserts a phrase of `any_of` (if there are any) and none of `none_of`. Silence never passes."""
    if not answer.strip() or any(asserts(answer, phrase) for phrase in check.none_of):
        return False
    return not check.any_of or any(asserts(answer, phrase) for phrase in check.any_of)
