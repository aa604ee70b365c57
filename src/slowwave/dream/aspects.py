"""Questions about a part of an answer: where a thing is done, by whom, with what, when, at which number.

Who was told "Ask for the order number, then hand the case to Team Robin" asks "Who handles refunds?", too, and on which
evening the choir practises of whoever knows the day. What an answer names is read off its words; said is all of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

import numpy as np

_DAYS = "Mon|Tues|Wednes|Thurs|Fri|Satur|Sun"
_SAID = {  # what an answer names, by what gives it away
    "person": re.compile(
        rf"(?<![.!?:] )(?<!^)\b(?!I\b|(?:{_DAYS})day)[A-Z][a-z]+"
        r"|(?i:\b(?:ask|call|ring|text|phone|tell|e?-?mail|message|write to|contact|fetch) (?!for\b|it\b)[a-z]+)"
    ),
    "number": re.compile(r"\d{2,}|(?i:\b(?:extension|number|code|pin)\b)"),
    "place": re.compile(
        r"(?i:\b(?:in|on|into|onto|under|behind|beside|inside|above|below|at|to|next to|against|on top of)"
        r" (?:the|our|my|your|a|an) [a-z]+)"
    ),
    "time": re.compile(
        rf"\b(?:{_DAYS})day|(?i:\bevery (?:day|night|week|month|year|hour|morning|evening)\b"
        r"|\bat (?:\d|noon|midnight|[a-z]+ o'clock)"
        r"|\b(?:before|until|within|minutes?|hours?|morning|evening|noon|night)\b)"
    ),
    "amount": re.compile(
        r"(?i:\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty) [a-z]+"
        r"|\bcount to\b|\btwice\b|\btimes\b)"
    ),
    "tool": re.compile(
        r"(?i:(?:^|[.!?,:] |\b(?:I|we|you|and|then) )(?:use|run|open|press|fill in|take|write|type"
        r"|log|enter|pour|stir|add|mix)\b)"
    ),
}
_ASKED = {  # by what the form has a place for
    "person": (
        "Who in {o} place takes care of {np}?", "Who do {w} go to with {np}?", "Which of us sees to {np}?",
        "Whose job is {np}?", "Who do I write to about {np}?", "Who has to hear about {np}?",
        "Who is in charge of {np}?",
        "Who do I turn to if I want to {vp}?", "Who do {w} ask to {vp}?", "Who has to know before I {vp}?",
        "Which person helps {us} to {vp}?", "Who gets {np} {pp}?", "By whom {be} {np} {pp}?",
        "Who do I turn to when {cl}?", "Who helps when {cl}?", "Who do {w} get in touch with if {cl}?",
        "{Cl}. Who is it that takes over?",
    ),
    "number": (
        "Which number is it for {np}?", "What number do I need for {np}?", "Which number helps with {np}?",
        "Which number do I need to {vp}?", "What number do {w} use to {vp}?", "{Ving} goes by which number?",
        "Which number helps when {cl}?", "What number do I call if {cl}?", "{Cl}. Which number is it?",
    ),
    "place": (
        "Where do I take {np}?", "Where does {np} go?", "Where is the place for {np}?", "Where do {w} keep {np}?",
        "In which place do {w} deal with {np}?", "Where do I have to go with {np}?",
        "Where do {w} {vp}?", "Where do I go to {vp}?", "In which place do I {vp}?", "Where is it that {w} {vp}?",
        "Where {be} {np} {pp}?", "In which place {be} {np} {pp}?", "Where {does} {np} get {pp}?",
        "Where do I go when {cl}?", "Where do things belong if {cl}?", "{Cl}. Where to?",
    ),
    "time": (
        "When is it time for {np}?", "When do {w} see to {np}?", "What's the right moment for {np}?",
        "How often is it time for {np}?", "Which day is the day for {np}?",
        "When do {w} {vp}?", "How often do I {vp}?", "At what time do {w} {vp}?", "When is it time to {vp}?",
        "When {be} {np} {pp}?", "How often {be} {np} {pp}?", "How long do I wait if {cl}?", "At what point, when {cl}?",
    ),
    "amount": (
        "How many are needed for {np}?", "How much goes with {np}?", "What is the right amount for {np}?",
        "How many do I need to {vp}?", "How much do {w} take to {vp}?", "With how many {be} {np} {pp}?",
        "How many do I need when {cl}?",
    ),
    "tool": (
        "What do {w} use for {np}?", "Which thing is it for {np}?", "What do I need at hand for {np}?",
        "What do I fill in or press for {np}?", "Which command or form is it for {np}?",
        "What do {w} use to {vp}?", "Which command or form do {w} use to {vp}?", "With what do {w} {vp}?",
        "What do I need at hand to {vp}?", "Which thing do I take to {vp}?",
        "With what {be} {np} {pp}?", "What do {w} use when {cl}?", "Which thing helps when {cl}?",
    ),
}  # fmt: skip


_PARTS = {"np": "np", "vp": "vp", "ving": "vp", "Ving": "vp", "pp": "pp", "cl": "cl", "Cl": "cl"}  # by their places
_FACT_SAID = {  # the same of an answer that is no way of doing things
    "day": re.compile(rf"\b(?:{_DAYS})day|(?i:\b(?:o'clock|noon|midnight|morning|afternoon|evening)\b)|\d:\d\d"),
    "place": re.compile(
        rf"\b(?:in|at|on|behind|under|near) (?:the )?(?!(?:{_DAYS})day)[A-Z]"
        r"|\b(?:Street|Road|Lane|Square|Avenue|Café)\b"
    ),
    "name": re.compile(rf"(?<![.!?] )(?<!^)\b(?!I\b|(?:{_DAYS})day)[A-Z]"),
    "number": re.compile(r"\d"),
}
_FACT_ASKED = {
    "day": (
        "Which evening should I keep free for {np}?", "On what day of the week is {np}?", "When do I have {np}?",
        "Which day is taken because of {np}?", "What do I put in the calendar for {np}, I mean when?",
        "Can I make plans that day, or is it {np}?", "When in the week is it time for {np}?",
    ),
    "place": (
        "Where do I go for {np}?", "Which address do I give for {np}?", "Where do I send somebody for {np}?",
        "Where should they pick me up, it's about {np}?", "What do I tell the taxi driver, it's {np}?",
        "Where exactly is it, {np}?", "Which place do I look up on the map for {np}?",
    ),
    "name": (
        "Who or what do I ask for, it's {np}?", "Which name do I write on the card for {np}?",
        "How do I introduce {np}?", "What do I say on the phone, it's about {np}?", "Which one do I choose for {np}?",
    ),
    "number": (
        "Which number do I type in for {np}?", "Read me the digits, it's {np}.", "How many is it for {np}?",
        "Which figure goes in the box for {np}?", "Which one do I take off the shelf for {np}?",
    ),
}  # fmt: skip


_MINE = (
    "Which {t} is {m}?", "Which {t} do I say is {m}?", "there's a whole list of them, which {t} is {m}",
    "Of all of them, which {t} is {m}?", "Someone asks which {t} is {m}.", "Point me to the {t} that is {m}.",
)  # fmt: skip
_OWN = re.compile(r"(?P<own>my|our)(?: (?P<who>(?:[\w-]+ ){0,2}[\w-]+?(?:'s|s')))? (?P<thing>[\w -]+)")


def sentences(answer: str, how: bool, parts: Collection[str], rng: np.random.Generator) -> tuple[str, ...]:
    """The sentences that ask for one thing that the answer names, and have a place for no other parts than these.

    Args:
        how: the answer is a way of doing things.
        parts: of the question: "np", "vp", "pp", "cl".
    """
    said, asked = (_SAID, _ASKED) if how else (_FACT_SAID, _FACT_ASKED)
    kinds = [kind for kind, pattern in said.items() if pattern.search(answer)]
    if not kinds:
        return ()
    return tuple(form for form in asked[kinds[int(rng.integers(len(kinds)))]] if _needs(form) <= {*parts})


def whose(phrase: str) -> tuple[str, ...]:
    """Questions which one is the user's: "Which size is mine?" of "my shoe size"; none of what is nobody's."""
    if (found := _OWN.fullmatch(phrase)) is None:
        return ()
    own = {"my": "mine", "our": "ours"}[found["own"]]
    mine = f"{found['own']} {found['who']}" if found["who"] else own
    return tuple(form.format(t=found["thing"], m=mine) for form in _MINE)


@cache
def _needs(form: str) -> frozenset[str]:
    names = (_PARTS.get(name) for name in re.findall(r"{(\w+)}", form))
    return frozenset(name for name in names if name)
