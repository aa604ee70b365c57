"""Wordings composed from the words that matter in a question: its topic in other sentences, situations and registers.

A small model rewords poorly, but a lesson must fire on what a question is about, not on how its sentence is built. So
the question is taken apart (what it asks for, the noun phrases, the verb phrase, the condition) and the parts are put
into sentences that people use for anything: the form that has a line for it, the colleague who asks, the first day in
a job. Each is seen once or twice in training; what they share is the topic. The same sentences about other people's
things and about other things are near misses.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from slowwave.dream import aspects, describe
from slowwave.dream.parts import PREPOSITION, Parts, parts
from slowwave.dream.verbs import gerund, participle
from slowwave.exam.match import normalise

_NAMED = 0.2  # share of sentences that ask for a part of the answer
_WHOSE = 0.15  # and, of a thing that is the user's own, which one is theirs
_DROP = 0.15  # share of wordings that lack some words
_AWKWARD = re.compile(r"\bat (?:have|am)\b")  # of a synonym in the wrong place

_FACT = (
    "What about {np}?", "{Np}, what was it again?", "Which {a} do I give for {np}?", "What {a} is right for {np}?",
    "What do I put down for {np}?", "They ask about {np}. What do I tell them?", "Which {a} is it with {np}?",
    "Somebody needs to know about {np}. What is the {a}?", "I need the {a}, it's for {np}.",
    "Tell me the {a}, it's about {np}.", "Do you know the {a} I mean, the one of {np}?",
    "the form has a line for {np}, what goes there", "{np} please", "{np}, which {a}?",
    "What should I say when someone asks for {np}?", "Which {a} goes with {np}?", "Can you name the {a} for {np}?",
    "Help me out with {np}, I can't think.", "How would I describe {np}, I mean the {a}?",
    "It's about {np}. Which {a} was it?", "I'm talking to someone about {np} and can't come up with the {a}.",
    "What {a} should they look for if it's {np}?", "They need {np}, what do I type there?", "Say something about {np}.",
    "Which {a} do I pick when it's about {np}?", "Is there something to know about {np}?",
    "Write down {np} for me.", "One question about {np}: which {a}?", "{Np} again, the {a}?",
)  # fmt: skip
_WIDE_FACT = (
    *_FACT, "I'm having a label made for {np}. Which {a} goes on it?",
    "They print it for {np}. Which {a} do they need?",
    "One box is left empty, and it's about {np}. Which {a} do I enter?",
    "I'm ordering something for {np}. Which {a} do I choose?", "{Np} came up at the desk. Which {a} do I hand in?",
    "They only send it if I name the right {a}, for {np}.",
)  # fmt: skip
_ANYTHING = ("thing", "person", "name", "reason")  # asked for, which says no more than the question word
_FACT_VERB = (
    "Which {a} is it, {c}?", "Do you know the {a}, I mean {c}?", "What is it again, {c}?",
    "The {a} please, you know, {c}.", "People ask {c}. What do I answer?", "{W} {vp}, but which {a} was it?",
    "What {a} do I name if someone asks me {c}?", "For the {a}: {c}?", "Which {a} comes to mind when {w} {vp}?",
)  # fmt: skip
_WAY = (
    "What do {w} do about {np}?", "What happens with {np} here?", "What is {o} rule for {np}?",
    "What's the procedure with {np}?", "How is {np} handled here?", "How does it go with {np} at {o} place?",
    "There is something with {np}. What's the next step?", "I have to deal with {np} today. What are the steps?",
    "Who or what do I need for {np}?", "Tell a newcomer what to do with {np}.",
    "How would I show a visitor what {w} do with {np}?", "{Np}: what comes first and what after?",
    "I'm new here, what do I do with {np}?", "Where do I go with {np}?", "What is left to do with {np}?",
    "What's {o} own way with {np}?", "{np}, how was that again", "Which steps does {np} take?",
    "It's about {np}. How do {w} do it?", "What does one have to do with {np} here?",
    "Give me the routine for {np}.", "What do {w} use for {np}?", "I'm standing in front of {np}. What now?",
    "Who gets told about {np}?", "{Np} again. What was the thing {w} do?", "What goes where with {np}?",
    "My stand-in has never done anything with {np}, what do I write on the note?",
    "What's next with {np}?", "Where does everything belong that has to do with {np}?",
    "Who looks after {np} here?", "Who handles {np}?", "Who helps with {np}?", "What is {o} routine with {np}?",
    "What's the process for {np}?", "Which person or number is it for {np}?", "Tell the others what to do with {np}.",
)  # fmt: skip
_WAY_VERB = (
    "I want to {vp}. What do I do?", "I need to {vp} today, how does that go here?",
    "What must I do if I want to {vp}?", "Someone has to {vp}. What are the steps?", "What's needed to {vp}?",
    "they told me to {vp}, no idea how, what do i do", "Explain how to {vp} the way {w} do it.",
    "What are the steps for {ving}?", "What's {o} way of {ving}?", "What is the routine for {ving}?",
    "Walk me through {ving}.", "{Ving}: where do I start?", "It's time to {vp}. What now?",
    "My turn to {vp}. What goes first?", "Write a note for my stand-in about {ving}.",
    "How does one {vp} in {o} place?", "I'm about to {vp}. What should I keep to?", "What is {o} rule for {ving}?",
    "The day has come to {vp}. How is that done?", "What do people here do to {vp}?",
    "first week here and i have to {vp}, how does that go", "What belongs to {ving}?",
    "Tell the others how to {vp}.", "Who helps with {ving}?", "What's the routine of {ving} at {o} place?",
)  # fmt: skip
_WAY_PASSIVE = (
    "How {be} {np} {pp}?", "How {does} {np} get {pp} here?", "{Np} must be {pp} today. What are the steps?",
    "Tell the others how {np} {be} {pp}.", "How do {w} get {np} {pp}?", "I want {np} {pp}. What do I do?",
    "What has to happen for {np} to be {pp}?", "Who knows how {np} {be} {pp}?", "Write down how {np} {be} {pp}.",
    "It's time for {np} to be {pp}. What now?", "someone asks how {np} {be} {pp}, what do i say",
)  # fmt: skip
_WHEN = (
    "{Cl}. What now?", "{Cl}, what's the next step?", "Suppose {cl}. What do {w} do?", "Help, {cl}!",
    "{Cl}. Who or what do I turn to?", "What if {cl}?", "Just now {cl}, what do {w} do in that case?",
    "In case {cl}, what is the rule?", "ugh, {cl}, what's the thing we're supposed to do", "{Cl}. How do {w} go on?",
    "My colleague says that {cl}. What do I tell him?", "It happened: {cl}. And now?", "{cl}, and I don't know the way",
    "What do people in {o} place do once {cl}?",
)  # fmt: skip
_CLAUSE = (
    "No idea any more {c}.", "It would help to know {c}.", "They want to hear from me {c}.", "The form asks {c}.",
    "Could you look up {c}?", "I'm supposed to write down {c}.", "Just {c}, nothing else.", "{C}, that's the question.",
    "What was it again, {c}?", "Help me remember {c}.", "You should know {c}.", "I'm not sure any more {c}.",
    "Please note for the others {c}.", "One thing I always forget is {c}.", "Does it say anywhere {c}?", "So {c}?",
    "Nobody here can say {c}.", "I can't go on until I know {c}.", "It depends on {c}.", "Guess {c}.",
)  # fmt: skip
_BEFORE = (
    "My friend is helping me out.", "I'm on the phone with someone.", "Mum wants to know.", "It's been a long day.",
    "I'm filling in a form and went blank.", "There is a line for it on the form.", "Someone at the door is asking.",
    "I have to leave in a minute.", "My flatmate takes over next week.", "The office needs it for a list.",
    "I'm standing in a shop.", "It's my first week here.", "Nobody told me.", "I'm away next week.",
    "My cousin is asking.", "We have guests tonight.", "Everything is a mess today.", "I should know this.",
    "A colleague is making a list.", "The lady at the desk wants to know.", "I'm planning my week.",
    "I have a form here that wants it.", "The others have all gone home.", "I'm writing it on a note for someone.",
    "I came back from holiday today.", "I haven't done this for months.", "They are waiting for my answer.",
    "The website won't let me go on without it.",
)  # fmt: skip
_AFTER = ("Just tell me.", "Please.", "I can't think of it.", "Quick.", "I forgot.", "Thanks.", "That's all I need.")


def compose(
    question: str, rng: np.random.Generator, count: int, held: Collection[str] = (), reworded: Sequence[str] = (),
    kind: str | None = None, wide: bool = False, answer: str = "",
) -> list[str]:  # fmt: skip
    """Up to `count` different wordings of a question and of its rewordings; of one that cannot be taken apart its own
    words in other registers, and half as many.

    Wordings whose normal form is in `held` (the exam's) are neither given nor built upon. `kind` is what the answer is,
    a number or a name: people ask for that, too. `wide`: in more kinds of sentences, some of which ask for a part of
    the `answer`.
    """
    if len(question.split()) < 3:
        return []
    count = count if parts(question) is not None else count // 2
    forms = [text for text in reworded if normalise(text) not in held and not _AWKWARD.search(text)]
    out: dict[str, str] = dict.fromkeys((normalise(question), *held), "")
    taken = len(out)
    for _ in range(4 * count):
        asked = forms[int(rng.integers(len(forms)))] if forms and rng.random() < 0.6 else question
        found = parts(asked)
        text = vary(
            asked if found is None or rng.random() < 0.2 else _core(asked, found, rng, kind, wide, answer), rng, _DROP
        )
        out.setdefault(normalise(text), text)
        if len(out) - taken == count:
            break
    return list(out.values())[taken:]


def near(
    question: str, others: Sequence[str], rng: np.random.Generator, count: int, kind: str | None = None,
    wide: bool = False, answer: str = "",
) -> list[str]:  # fmt: skip
    """The same sentences about what the lesson is not about: `others` are the question about somebody or something
    else. Each keeps every word that tells it from the lesson's own question."""
    own, out = set(normalise(question).split()), dict[str, str]()
    for _ in range(3 * count):
        if not others or len(out) == count:
            break
        other = others[int(rng.integers(len(others)))]
        found = parts(other)
        text = _core(other, found, rng, kind, wide, answer) if found is not None else other
        if not set(normalise(other).split()) - own <= set(normalise(text).split()):
            text = other
        text = vary(text, rng, 0)
        out.setdefault(normalise(text), text)
    return list(out.values())


def _core(question: str, found: Parts, rng: np.random.Generator, kind: str | None, wide: bool, answer: str) -> str:
    """One sentence about what the question is about."""
    if kind and not found.how and rng.random() < 0.3:
        found = replace(found, asks=kind)
    facts = _WIDE_FACT if wide else _FACT
    if wide and (doer := describe.trade(question)):
        found = replace(found, phrases=(*found.phrases, doer))
    pools: list[tuple[str, ...]] = []
    if found.condition:
        pools += [_WHEN, _WHEN]
    if found.verb and (found.how or " " in found.verb or not found.condition):
        pools += [_WAY_VERB if found.how else _FACT_VERB] * 2
    if found.phrases:
        pools += [_WAY if found.how else facts] * 2
    objects = [phrase for phrase in found.phrases if re.match(rf"\S+(?: \S+)? {re.escape(phrase)}\b", found.verb or "")]
    if found.how and objects and not (found.verb or "").startswith("get "):
        pools.append(_WAY_PASSIVE)
    said = describe.clause(question) or (f"what {'we' if found.ours else 'I'} {found.verb}" if found.verb else None)
    if said is not None and not found.condition:
        pools.append(_CLAUSE)
    if not pools:
        return question
    pool = pools[int(rng.integers(len(pools)))]
    phrases = objects if pool is _WAY_PASSIVE else found.phrases
    phrase = phrases[int(rng.integers(len(phrases)))] if phrases else ""
    has = {"np": phrase, "vp": found.verb, "pp": phrase in objects, "cl": found.condition}
    if wide and answer and rng.random() < _NAMED:
        pool = aspects.sentences(answer, found.how, {part for part, there in has.items() if there}, rng) or pool
    elif pool is facts and wide and found.asks.split()[-1] in phrase and rng.random() < _WHOSE:
        pool = aspects.whose(phrase) or pool
    elif pool is facts and found.asks not in _ANYTHING and rng.random() < 0.85:
        named = found.asks.split()[-1] in phrase  # the thing and what is asked of it, once each
        pool = _asking(facts, not named)
    form = pool[int(rng.integers(len(pool)))]
    verb = found.verb or ""
    if rng.random() < 0.3 and " " in (short := re.split(rf"\s{PREPOSITION}\s", verb)[0]):
        verb = short
    many = re.search(r"[^s]s$", phrase) is not None
    cl, ours = found.condition or "", found.ours
    done = participle(" ".join(verb.replace(phrase, "", 1).split()))
    return form.format(
        np=phrase, Np=_upper(phrase), a=found.asks, c=said, C=_upper(said or ""), vp=verb, ving=gerund(verb),
        Ving=_upper(gerund(verb)), cl=cl, Cl=_upper(cl), w="we" if ours else "I", W="We" if ours else "I",
        o="our" if ours else "my", us="us" if ours else "me", pp=done,
        be="are" if many else "is", does="do" if many else "does",
    )  # fmt: skip


def vary(text: str, rng: np.random.Generator, drop: float) -> str:
    """A sentence as people type: something said before or after, in a hurry, words left out."""
    if rng.random() < drop:
        words = text.split()
        text = " ".join(word for word in words if len(words) < 5 or rng.random() > 0.2)
    draw = rng.random()
    if draw < 0.3:
        text = f"{_BEFORE[int(rng.integers(len(_BEFORE)))]} {text}"
    elif draw < 0.4:
        text = f"{text} {_AFTER[int(rng.integers(len(_AFTER)))]}"
    elif draw < 0.5:
        before = _BEFORE[int(rng.integers(len(_BEFORE)))]
        text = f"{before.rstrip('.').lower()} {('and so', ',', 'so')[int(rng.integers(3))]} {text}".replace(" ,", ",")
    if rng.random() < 0.3:
        text = text.lower().rstrip("?.!")
    return text


@cache
def _asking(forms: tuple[str, ...], asks: bool) -> tuple[str, ...]:
    """Those forms that say what is asked for, or those that do not."""
    return tuple(form for form in forms if ("{a}" in form) is asks)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
