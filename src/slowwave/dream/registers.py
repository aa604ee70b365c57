"""The same message in another register or in another's mouth: an e-mail, a telegram, a quoted question.

By English rules, without a model. A message keeps every word that says what it asks for.
"""

from __future__ import annotations

import re

import numpy as np

_SENDERS = ("Jo", "Robin", "Kim", "Sam", "Dana", "Alex", "Chris", "Maxi")
_GREETINGS = ("Hello", "Hi there", "Good morning", "Dear assistant", "Good evening")
_CLOSINGS = ("Best", "Kind regards", "Many thanks", "Yours", "Cheers")
_OPENINGS = (
    "I hope you are well.", "Sorry to bother you.", "One short question.", "I am writing on behalf of the whole house.",
    "Thank you for your help last time.", "I could not reach anybody by phone.",
)  # fmt: skip
_SHORT = {
    "you": "u", "are": "r", "please": "pls", "thanks": "thx", "because": "cuz", "about": "abt", "tomorrow": "tmrw",
    "tonight": "2nite", "people": "ppl", "with": "w/", "without": "w/o", "message": "msg", "what": "wat", "for": "4",
    "okay": "ok", "before": "b4", "someone": "sb", "something": "sth", "minutes": "min", "really": "rly", "to": "2",
}  # fmt: skip
_SMALL = frozenset("a an the is are was were am do does did please can could would to".split())
_OFFICIAL = (
    "For the purposes of our records we kindly request an answer to the following: {t}",
    "With reference to the above matter, the undersigned wishes to be informed: {t}",
    "Item 4 of the questionnaire reads as follows. {t} The reply is to be entered in block letters.",
    "The applicant is required to state in full: {t}",
    "In accordance with the usual procedure I would respectfully ask: {t}",
)
_UPSET = (
    "I can't believe it, nothing works today and now this as well!! {t}",
    "ok i'm losing it. {l}??",
    "Everybody shouts at me and I just stand here. {t} Please, quickly!",
    "omg omg omg {l}",
    "Why is it always me who has to know these things? {t}",
    "honestly i could cry. {l}",
)
_YOUNG = ("um, {l}", "can you tell me pleeease, {l}", "I am seven and I want to know: {t}", "hey mister computer, {l}!")
_ASKERS = (
    "The woman at the desk", "My new colleague", "A man on the phone", "The nurse", "My neighbour", "The clerk",
    "My partner", "The caretaker", "Our trainee", "A lady from the insurance", "The teacher", "The new girl",
    "My grandson", "The driver", "A volunteer", "The man at the counter",
)  # fmt: skip
_QUOTED = (
    '{a} asks me: "{q}" What do I answer?', '"{q}" That is what {b} wants to hear from me.',
    '{a} looks up and says: "{q}"', 'I got this message from {b}: "{q}" Can you answer it for me?',
    '{a}: "{q}" Help me out.', '{a} is waiting and keeps asking "{q}"',
)  # fmt: skip
_OTHER = {
    "i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "we": "you", "us": "you",
    "our": "your", "ours": "yours", "am": "are", "i'm": "you're", "i've": "you've", "we're": "you're", "i'll": "you'll",
    "i'd": "you'd", "was": "were",
}  # fmt: skip


def register(text: str, rng: np.random.Generator) -> tuple[str, str]:
    """(name of a register drawn at random, the message in it)."""
    name = tuple(_REGISTERS)[int(rng.integers(len(_REGISTERS)))]
    return name, _REGISTERS[name](text, rng)


def quoted(text: str, rng: np.random.Generator) -> str:
    """The message as another's question to the user, who passes it on."""
    asker = _ASKERS[int(rng.integers(len(_ASKERS)))]
    form = _QUOTED[int(rng.integers(len(_QUOTED)))]
    return form.format(a=asker, b=asker[:1].lower() + asker[1:], q=to_user(text))


def to_user(text: str) -> str:
    """A message about the speaker's own things as it would be said to that speaker: "my" becomes "your"."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        said = _OTHER.get(word.lower(), word)
        if word.lower() == "was" and not re.search(r"\bI $", text[: match.start()]):
            return word
        return said[:1].upper() + said[1:] if word[:1].isupper() and word not in ("I", "I'm", "I've") else said

    out = re.sub(r"[A-Za-z']+", other, text)
    return out[:1].upper() + out[1:]


def _mail(text: str, rng: np.random.Generator) -> str:
    pick = lambda some: some[int(rng.integers(len(some)))]  # noqa: E731
    opening = f"{pick(_OPENINGS)} " if rng.random() < 0.6 else ""
    return f"{pick(_GREETINGS)},\n\n{opening}{text}\n\n{pick(_CLOSINGS)},\n{pick(_SENDERS)}"


def _telegram(text: str, rng: np.random.Generator) -> str:
    words = [word for word in re.sub(r"[?!.,;]", "", text).split() if word.lower() not in _SMALL]
    return f"{' '.join(words).upper()} STOP {('REPLY SOON', 'URGENT', 'ANSWER BY RETURN')[int(rng.integers(3))]} STOP"


def _typed(text: str, rng: np.random.Generator) -> str:
    words = [_SHORT.get(word, word) for word in re.sub(r"[?!.,;]", "", text.lower()).split()]
    return f"{' '.join(words)}{('', ' thx', ' asap', ' lol', '??')[int(rng.integers(5))]}"


def _framed(forms: tuple[str, ...], text: str, rng: np.random.Generator) -> str:
    return forms[int(rng.integers(len(forms)))].format(t=text, l=text.lower().rstrip("?.!"))


_REGISTERS = {
    "mail": _mail,
    "telegram": _telegram,
    "typed": _typed,
    "official": lambda text, rng: _framed(_OFFICIAL, text, rng),
    "upset": lambda text, rng: _framed(_UPSET, text, rng),
    "young": lambda text, rng: _framed(_YOUNG, text, rng),
}


def lowered(text: str) -> str:
    """A sentence as it goes on after another's beginning."""
    return text if text[:2] in ("I ", "I'") or text[:2].isupper() else text[:1].lower() + text[1:]
