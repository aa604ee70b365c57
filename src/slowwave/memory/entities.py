"""The people and things that a text speaks of: names, and what is the user's own.

English rules and no model, so that linking keeps up with a conversation: a word with a capital that does not begin a
sentence, several in a row as one; and up to three words after "my" or "our", to the next one that no thing's name has.
Where it ends is not always to be seen ("what my sister plays"), so the first of the words counts alone as well.
"""

from __future__ import annotations

import re

LONGEST = 60  # characters of a name; what is longer is none
_SENTENCE = re.compile(r"(?<=[.!?:;\n])\s+|^\W*")
_CAPITAL = re.compile(r"(?<![\w'])[A-Z][\w'-]*(?:\s+(?:(?:of|de|van|von)\s+)?[A-Z][\w'-]*){0,4}")
_TITLE = re.compile(r"\b(Mr|Mrs|Ms|Dr|Prof|St)\.(?=\s)")
_NO_NAME = frozenset(
    "a an the and or but if in on at by for from of to with my our your his her their its we you he she it they this"
    " that these those what which who whose when where why how is are was do does did can could will would should"
    " mr mrs ms dr prof st i i'm i'll i've i'd he's she's it's"
    " that's what's who's where's there's here's let's monday tuesday wednesday thursday friday saturday"
    " sunday january february march april may june"
    " july august september october november december ok okay yes no hi hello thanks please".split()
)
_OWN = re.compile(r"\b(?:my|our)\s+([a-z][\w'-]*(?:[ \t]+[a-z][\w'-]*){0,3})", re.IGNORECASE)
_ENDS = frozenset(
    "is are was were am be been has have had do does did can could will would should must may might a an the this that"
    " these those my our your his her their its i you he she it we they and or but if when while because so than then"
    " as of to in on at by for from with without into about after before during over under near next until every each"
    " called named not no now here there again today tomorrow yesterday who which what where how why please goes comes"
    " needs wants likes lives works leaves starts opens closes says gets takes makes always never usually".split()
)


def entities(text: str) -> list[str]:
    """The names in a text, each once, in their order: "Ann", "New York", "sister", "tram stop".

    Of "my sister's dog" it names "sister" and "sister's dog".
    """
    text, found = text.replace("\u2019", "'"), dict[str, str]()
    for sentence in _SENTENCE.split(_TITLE.sub(r"\1", text)):
        if sentence.isupper():
            continue  # SHOUTED
        for match in _CAPITAL.finditer(sentence):
            words = match.group().split()
            while words and words[-1].lower() in _NO_NAME:
                words.pop()
            begins = not sentence[: match.start()].strip("\"'([ ")
            if begins and len(words) == 1:
                continue  # any word is capital there
            while words and words[0].lower() in _NO_NAME:
                words.pop(0)
            _add(found, re.sub(r"'s?$", "", " ".join(words)))
    for match in _OWN.finditer(text):
        words = match.group(1).split()
        end = next((at for at, word in enumerate(words) if word.lower() in _ENDS), len(words))
        words = words[: 1 if end > 3 else end]  # four words are a sentence that goes on: who knows where
        if words:
            _add(found, re.sub(r"'s?$", "", words[0]))
        _add(found, re.sub(r"'s?$", "", " ".join(words)))
    return list(found.values())


def _add(found: dict[str, str], name: str) -> None:
    if 1 < len(name) <= LONGEST and name.lower() not in _NO_NAME:
        found.setdefault(name.lower(), name)
