"""Forms of an English verb phrase, by rule: "report a bug" as "reporting a bug" and, of the bug, "reported"."""

from __future__ import annotations

import re

_DOUBLES = re.compile(r"[a-z]*[^aeiou][aeiou][bdgklmnprt]")
_IRREGULAR = {
    "beat": "beaten", "begin": "begun", "bend": "bent", "bind": "bound", "bite": "bitten", "blow": "blown",
    "break": "broken", "bring": "brought", "build": "built", "burn": "burnt", "buy": "bought", "catch": "caught",
    "choose": "chosen", "cut": "cut", "deal": "dealt", "dig": "dug", "do": "done", "draw": "drawn", "drink": "drunk",
    "drive": "driven", "eat": "eaten", "feed": "fed", "fight": "fought", "find": "found", "fold": "folded",
    "forget": "forgotten", "freeze": "frozen", "get": "got", "give": "given", "go": "gone", "grind": "ground",
    "grow": "grown", "hang": "hung", "have": "had", "hide": "hidden", "hit": "hit", "hold": "held", "keep": "kept",
    "know": "known", "lay": "laid", "lead": "led", "leave": "left", "lend": "lent", "let": "let", "light": "lit",
    "lose": "lost", "make": "made", "meet": "met", "pay": "paid", "put": "put", "read": "read", "ride": "ridden",
    "ring": "rung", "run": "run", "say": "said", "see": "seen", "sell": "sold", "send": "sent", "set": "set",
    "sew": "sewn", "shake": "shaken", "shine": "shone", "show": "shown", "shut": "shut", "sing": "sung", "sow": "sown",
    "speak": "spoken", "spend": "spent", "split": "split", "spread": "spread", "stick": "stuck", "sweep": "swept",
    "take": "taken", "teach": "taught", "tear": "torn", "tell": "told", "throw": "thrown", "think": "thought",
    "undo": "undone", "wake": "woken", "wear": "worn", "win": "won", "wind": "wound", "withdraw": "withdrawn",
    "write": "written",
}  # fmt: skip

_PASTS = frozenset(
    "began blew broke chose did drank drove ate froze forgot gave went grew hid knew rode rang ran saw sang shook spoke"
    " took tore threw woke wore wrote was were".split()
)


def gerund(verb: str) -> str:
    """ "report a bug" gives "reporting a bug"."""
    if not verb:
        return ""
    word, _, rest = verb.partition(" ")
    if word.endswith("e") and not word.endswith(("ee", "oe", "ye")) and word != "be":
        word = word[:-1]
    elif _doubles(word):
        word += word[-1]
    return f"{word}ing {rest}".strip()


def agent(verb: str) -> str:
    """Who does it: "tune" gives "tuner", "run" "runner"."""
    if verb.endswith("e"):
        return f"{verb}r"
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ier"
    return f"{verb}{verb[-1] if _doubles(verb) else ''}er"


def participle(verb: str) -> str:
    """ "lock up in the evening" gives "locked up in the evening"."""
    if not verb:
        return ""
    word, _, rest = verb.partition(" ")
    if word in _IRREGULAR:
        word = _IRREGULAR[word]
    elif word.endswith("e"):
        word += "d"
    elif re.search(r"[^aeiou]y$", word):
        word = f"{word[:-1]}ied"
    else:
        word += f"{word[-1]}ed" if _doubles(word) else "ed"
    return f"{word} {rest}".strip()


def past(word: str) -> bool:
    """Whether a single form looks like a past: "parked", "left"."""
    return (word.endswith("ed") and not word.endswith("eed")) or word in _IRREGULAR.values() or word in _PASTS


def present(word: str) -> str:
    """ "park" gives "parks", as after "she"."""
    if word in ("do", "go") or word.endswith(("s", "sh", "ch", "x", "z")):
        return f"{word}es"
    return f"{word[:-1]}ies" if re.search(r"[^aeiou]y$", word) else f"{word}s"


def _doubles(word: str) -> bool:
    """Whether the last letter is written twice before an ending: "stop", not "open" or "heat"."""
    return bool(_DOUBLES.fullmatch(word)) and len(word) <= 4 and word not in ("open", "call")
