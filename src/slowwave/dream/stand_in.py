"""A message as somebody else would type it on the user's account, about the user: "Where does she work?"

By English rules, without a model. Who the user is, is not known, so it is as often "he" as "she".
"""

from __future__ import annotations

import re

import numpy as np

from slowwave.dream.verbs import past, present

_WORDS = {
    "she": {"i": "she", "me": "her", "my": "her", "mine": "hers", "myself": "herself"},
    "he": {"i": "he", "me": "him", "my": "his", "mine": "his", "myself": "himself"},
}
_WE = {"we": "they", "us": "them", "our": "their", "ours": "theirs", "we're": "they're", "we've": "they've",
       "we'll": "they'll", "we'd": "they'd"}  # fmt: skip
_SHORT = {"i'm": "is", "i've": "has", "i'll": "will", "i'd": "would"}
_AUXILIARY = {"am": "is", "do": "does", "have": "has", "don't": "doesn't", "haven't": "hasn't"} | {
    word: word for word in "was did had can could will would shall should may might must didn't can't won't".split()
}
_ADVERBS = frozenset("always usually often never ever still just also normally regularly really once last".split())
_TO_ME = frozenset("tell remind give show let help send ask told asked for with to".split())
_PEOPLE = (
    "mother", "father", "brother", "sister", "partner", "flatmate", "neighbour", "colleague", "daughter", "son",
    "cousin", "best friend", "new colleague", "aunt",
)  # fmt: skip
_STRANGERS = (
    "plumber", "receptionist", "delivery man", "new trainee", "gardener", "nurse", "caretaker", "temp", "babysitter",
    "electrician",
)  # fmt: skip
_BY_ONE_OF_THEIRS = (
    "Hi, this is {her} {one}. {t}", "I'm {her} {one}, typing on {her} tablet. {t}",
    "This is {her} {one} on {her} account. {t}",
    "Hello, {she} gave me {her} phone, I'm {her} {one}. {t}", "{Her} {one} here, {she} is asleep. {t}",
    "{She} is in the shower, and I'm {her} {one}. {t}", "I'm planning a surprise for {obj}, I'm {her} {one}. {t}",
)  # fmt: skip
_BY_A_STRANGER = (
    "I'm the {one}, {she} lent me {her} phone. {t}", "It's the {one} here. The owner of this account is away. {t}",
    "Hello, I'm the {one} and {she} left {her} computer on. {t}", "The {one} here, I'm waiting for {obj}. {t}",
    "I'm only the {one} and stand in for {obj} today. {t}",
)  # fmt: skip


def stand_in(text: str, rng: np.random.Generator) -> str | None:
    """The message from a relative or a stranger on the user's account; None where it is not about the user."""
    she = ("she", "he")[int(rng.integers(2))]
    said = of_another(text, she)
    if said == text:
        return None
    pick = lambda some: some[int(rng.integers(len(some)))]  # noqa: E731
    known = rng.random() < 0.6
    words = _WORDS[she]
    who = [one for one in (_PEOPLE if known else _STRANGERS) if one not in text]  # "my sister" is another one
    return pick(_BY_ONE_OF_THEIRS if known else _BY_A_STRANGER).format(
        t=said, one=pick(who), she=she, She=she.capitalize(), her=words["my"],
        Her=words["my"].capitalize(), obj=words["me"],
    )  # fmt: skip


def of_another(text: str, she: str) -> str:
    """A message about the speaker's own things as somebody else would say it: "my" becomes "her" or "his".

    Args:
        she: "she" or "he".
    """
    return "".join(_sentence(part, she) for part in re.split(r"(?<=[.!?])(?=\s)", text))


def _sentence(text: str, she: str) -> str:
    parts = re.split(r"([A-Za-z']+)", text)  # words at odd places
    words = [part.lower() for part in parts[1::2]]
    own = [at for at, word in enumerate(words) if word in _WORDS[she] or word in _WE or word in _SHORT]
    skip = own[0] if len(own) > 1 and own[0] == 0 and (words[0] == "i" or words[0] in _SHORT) else -1
    out, verb_at = list(words), -1
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        if at == skip or (word == "me" and before in _TO_ME):
            continue  # who types it asks for it
        if word in _WE:
            out[at] = _WE[word]
        elif word in _SHORT:
            out[at] = f"{she} {_SHORT[word]}"
        elif word == "i":
            out[at] = she
            if before in _AUXILIARY:
                out[at - 1] = _AUXILIARY[before]
            else:
                verb_at = next((i for i in range(at + 1, len(words)) if words[i] not in _ADVERBS), -1)
        elif word in _WORDS[she]:
            out[at] = _WORDS[she][word]
        elif at == verb_at:
            out[at] = _AUXILIARY.get(word) or (word if past(word) else present(word))
    for at, new in enumerate(out):
        old = parts[1 + 2 * at]
        if new != old.lower():
            capital = old[:1].isupper() and (at == 0 or not old.startswith("I"))
            parts[1 + 2 * at] = new[:1].upper() + new[1:] if capital else new
    return "".join(parts)
