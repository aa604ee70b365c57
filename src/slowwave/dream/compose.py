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
from dataclasses import dataclass

import numpy as np

from slowwave.dream import reword
from slowwave.exam.match import normalise

_AUX = r"(?:do|does|did|is|are|was|were|am|have|has|had|can|could|will|would|should|must|may|'s|'re)"
_WH = re.compile(
    r"^(?:(?:on|in|at|to|from|for|with|by|under|of) )?(?P<wh>what|which|who|whom|whose|where|when|why|how)\b\s*",
    re.IGNORECASE,
)
_STOP = frozenset(
    "a an the of to in on at by for from with without and or but if then than so as is are was were be been am do"
    " does did have has had i you he she it we they me my mine your yours his her its our ours their theirs this"
    " that these those there here what which who whom whose when where why how not no yes can could will would"
    " shall should may might must just only also very really please called name names named know tell say about"
    " into out up off over after before while during again always usually normally every each own get go make take"
    " put keep want need use give kind sort way thing things someone somebody people one ones s t m re ve ll d".split()
)
_DROP = 0.15  # share of wordings that lack some words
_AWKWARD = re.compile(r"\b(?:full name|what it is called|at (?:have|am))\b")  # of a synonym in the wrong place
_PREPOSITION = r"(?:in|on|at|after|before|for|with|from|of|during|under|to|by|about|when|if|while|into|out of|over)"
_NOUN_PHRASE = re.compile(
    rf"\b(?P<det>my|our|the|an?)\s+(?P<np>[\w'-]+(?:\s+(?!(?:{_PREPOSITION}|is|are|was|and|or|called|named|an?|the|my|our)\b)"
    rf"[\w'-]+){{0,3}})(?P<verb>\s+(?:an?|the|my|our)\b)?",
    re.IGNORECASE,
)


# Where or when a thing is done, which is not what the question is about.
_SETTINGS = frozenset(
    "morning evening night day week weekend month year afternoon noon work office team company kitchen house home room"
    " place town end beginning".split()
)


@dataclass(frozen=True)
class Parts:
    """A question taken apart. Every part but `asks` may be missing."""

    ours: bool  # asked as "we" or "our", else as "I"
    asks: str  # what is wanted, in a word: name, place, day, size, way ...
    phrases: tuple[str, ...]  # noun phrases with their owner: "my shoe size", "the minutes"
    verb: str | None  # verb phrase in the base form: "report a bug in our app"
    condition: str | None  # clause after "when" or "if": "a customer wants a refund"

    @property
    def how(self) -> bool:
        return self.asks == "way"


def parts(question: str) -> Parts | None:
    """Take a question apart; None where it is not one of the user's ("What is a volcano?" has no owner)."""
    text = question.strip().rstrip("?.! ")
    match = _WH.match(text)
    if match is None or not re.search(r"\b(?:i|my|me|mine|we|our|us|ours)\b", text, re.IGNORECASE):
        return None
    ours = re.search(r"\b(?:we|our|us|ours)\b", text, re.IGNORECASE) is not None
    rest = text[match.end() :]
    condition = None
    if split := re.search(r"\b(?:when|if|whenever|once|in case)\s+(.+)$", rest, re.IGNORECASE):
        condition, rest = split.group(1), rest[: split.start()].strip()
    verb = None
    owner = "our" if ours else "my"
    found = []
    if do := re.search(r"\b(?:do|does|did|can|should|must)\s+(?:i|we)\s+(.+)$", rest, re.IGNORECASE):
        verb = re.sub(r"^do (?:in order )?to ", "", do.group(1))
        verb = None if re.match(r"(?:do|take)\b", verb) else verb
        head, body = rest[: do.start()].strip(), do.group(1)
    elif third := re.search(r"\b(?:do|does|did)\s+((?:my|our) [\w'-]+)\s+(.+)$", rest, re.IGNORECASE):
        head, body = rest[: third.start()].strip(), third.group(2)
        found += [third.group(1), f"{third.group(1)}'s {(head or 'way').split()[-1]}"]
    else:
        head = re.split(rf"\b{_AUX}\b|'s\b", rest, maxsplit=1)[0].strip()
        body = rest
    asks = _asks(match.group("wh").lower(), head.lower(), text.lower(), verb, condition)
    whole, at = f"{body} | {condition or ''}", 0
    while np := _NOUN_PHRASE.search(whole, at):
        at = np.end("np")
        words = re.sub(r"'s?$", "", re.sub(r"(?:'s|s')\s+names?$|\s+names?$", "", np.group("np"))).split()
        if np.group("verb") and len(words) > 1:
            words.pop()  # "a customer wants a refund": what stands before the next article is a verb
        while words and words[-1].lower() in _STOP - {"off"}:
            words.pop()
        if words and (words[-1].lower() not in _SETTINGS or not (verb or found)):
            det = np.group("det").lower()
            found.append(" ".join([det, *words]))
            if len(words) > 1 and det in ("my", "our") and not any(word.endswith(("'s", "s'")) for word in words):
                found.append(f"{det} {words[-1]}")
    if condition is not None:
        found = [phrase for phrase in found if not condition.startswith(phrase)]
    if verb and head and asks not in ("way", "number", "amount", "time", "day", "name", "thing", "person"):
        found.append(f"{owner} {asks}")
    content = [w for w in re.findall(r"[\w'-]+", text) if w.lower() not in _STOP and len(w) > 2]
    if not content:
        return None
    if not found and condition is None:
        found = [f"{owner} {(verb or content[-1]).split()[0].lower()}"]
    return Parts(ours, asks, tuple(dict.fromkeys(found)), verb, condition)


def _asks(wh: str, head: str, text: str, verb: str | None, condition: str | None) -> str:
    if wh == "how":
        if match := re.match(r"(?:many|much|often|long|old|tall|far|big|late|early)\b", head):
            return {"many": "number", "much": "amount", "often": "number", "long": "time", "old": "age"}.get(
                match.group(0), "number"
            )
        return "name" if re.search(r"\bcalled\b|\bnamed\b", text) else "way"
    if wh == "where":
        return "place"
    if wh == "when":
        return "day"
    if wh in ("who", "whom", "whose"):
        return "person"
    if wh == "why":
        return "reason"
    if head and (words := [w for w in re.findall(r"[a-z'-]+", head) if w not in _STOP or w == "name"]):
        return words[-1]
    if re.search(r"\bcalled\b|\bnames?\b|\bnamed\b", text):
        return "name"
    if condition or re.search(r"\bdo (?:i|we) do\b", text):
        return "way"
    if match := re.match(r"what(?:'s| is| are| was) (?:my|our) (.+)$", text):
        return match.group(1).split()[-1] if len(match.group(1).split()) <= 3 else "thing"
    return "thing"


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
    "Write down {np} for me.", "One question about {np}: which {a}?", "My {np_} again, the {a}?",
)  # fmt: skip
_FACT_VERB = (
    "Which {a} is it that I {vp}?", "Do you know the {a}, I mean what I {vp}?", "What is it again that I {vp}?",
    "The {a} please, you know, that I {vp}.", "People ask what I {vp}. What do I answer?",
    "I {vp}, but which {a} was it?", "What {a} do I name if someone asks me what I {vp}?",
    "For the {a}: what do I {vp}?", "Which {a} comes to mind when I {vp}?",
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
)  # fmt: skip
_WHEN = (
    "{Cl}. What now?", "{Cl}, what's the next step?", "Suppose {cl}. What do {w} do?", "Help, {cl}!",
    "{Cl}. Who or what do I turn to?", "What if {cl}?", "Just now {cl}, what do {w} do in that case?",
    "In case {cl}, what is the rule?", "ugh, {cl}, what's the thing we're supposed to do", "{Cl}. How do {w} go on?",
    "My colleague says that {cl}. What do I tell him?", "It happened: {cl}. And now?", "{cl}, and I don't know the way",
    "What do people in {o} place do once {cl}?",
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


def compose(question: str, rng: np.random.Generator, count: int, held: Collection[str] = ()) -> list[str]:
    """Up to `count` different wordings of a question of the user's; empty where it cannot be taken apart.

    Wordings whose normal form is in `held` (the exam's) are neither given nor built upon.
    """
    if parts(question) is None:
        return []
    forms = [
        text
        for text in (*reword.questions(question), *reword.words(question, rng, 8))
        if normalise(text) not in held and not _AWKWARD.search(text)
    ]
    out: dict[str, str] = dict.fromkeys((normalise(question), *held), "")
    taken = len(out)
    for _ in range(4 * count):
        asked = reword.sentence(forms[int(rng.integers(len(forms)))]) if forms and rng.random() < 0.6 else question
        found = parts(asked)
        text = vary(asked if found is None or rng.random() < 0.2 else _core(asked, found, rng), rng, _DROP)
        out.setdefault(normalise(text), text)
        if len(out) - taken == count:
            break
    return list(out.values())[taken:]


def near(question: str, others: Sequence[str], rng: np.random.Generator, count: int) -> list[str]:
    """The same sentences about what the lesson is not about: `others` are the question about somebody or something
    else. Each keeps every word that tells it from the lesson's own question."""
    own, out = set(normalise(question).split()), dict[str, str]()
    for _ in range(3 * count):
        if not others or len(out) == count:
            break
        other = others[int(rng.integers(len(others)))]
        found = parts(other)
        text = _core(other, found, rng) if found is not None else other
        if not set(normalise(other).split()) - own <= set(normalise(text).split()):
            text = other
        text = vary(text, rng, 0)
        out.setdefault(normalise(text), text)
    return list(out.values())


def _core(question: str, found: Parts, rng: np.random.Generator) -> str:
    """One sentence about what the question is about."""
    pools: list[tuple[str, ...]] = []
    if found.condition:
        pools += [_WHEN, _WHEN]
    if found.verb:
        pools += [_WAY_VERB if found.how else _FACT_VERB] * 2
    if found.phrases:
        pools += [_WAY if found.how else _FACT] * 2
    if not pools:
        return question
    pool = pools[int(rng.integers(len(pools)))]
    form = pool[int(rng.integers(len(pool)))]
    phrase = found.phrases[int(rng.integers(len(found.phrases)))] if found.phrases else ""
    verb = found.verb or ""
    if verb and rng.random() < 0.3:
        verb = re.split(rf"\s{_PREPOSITION}\s", verb)[0]
    cl = found.condition or ""
    return form.format(
        np=phrase, Np=_upper(phrase), np_=phrase.split(" ", 1)[-1], a=found.asks, vp=verb, ving=gerund(verb),
        Ving=_upper(gerund(verb)), cl=cl, Cl=_upper(cl), w="we" if found.ours else "I",
        o="our" if found.ours else "my",
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


def gerund(verb: str) -> str:
    """ "report a bug" gives "reporting a bug"."""
    if not verb:
        return ""
    word, _, rest = verb.partition(" ")
    if word.endswith("e") and not word.endswith(("ee", "oe", "ye")) and word != "be":
        word = word[:-1]
    elif re.fullmatch(r"[a-z]*[^aeiou][aeiou][bdgklmnprt]", word) and len(word) <= 4 and word not in ("open", "call"):
        word += word[-1]
    return f"{word}ing {rest}".strip()


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
