"""Users who were written apart from the judge and made its figures until it was changed with them in view, too. Each is
a person thought of first (named beside it) and then the rule by which that person would judge an answer.
"""

from __future__ import annotations

import re

import numpy as np
from _users import Count, Wish

_COMMON = frozenset(
    "after again also another because been before being best better came come comes could does doing done "
    "down each explain from gave give goes have help here into just know like list made make many mean more most much "
    "must name need often only over please should show some such tell than that them then there these they thing "
    "things this those through want well were what what's when where which while will with without work works would "
    "write your you're".split()
)


def _matches(pattern: str) -> Count:
    found = re.compile(pattern, re.IGNORECASE)
    return lambda question, answer: len(found.findall(answer))


def _of(words: str) -> Count:
    return _matches(rf"\b(?:{words})\b")


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower().replace("’", "'"))


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?:])\s+|\n+", text.strip()) if _words(part)]


def _stems(text: str) -> set[str]:
    """What a text is about: its long words that are not common ones, so cut that plurals are the same."""
    return {word[:5] for word in _words(text) if len(word) > 3 and word not in _COMMON}


def _still_on_it(question: str, answer: str) -> float:
    """How far into the answer something of which the question spoke is last named: 0 never, 1 at its end."""
    words, stems = _words(answer), _stems(question)
    return max((place / len(words) for place, word in enumerate(words, 1) if word[:5] in stems), default=0.0)


def _not_said_by_me(question: str, answer: str) -> float:
    """Things in the answer of which the question did not speak."""
    return len(_stems(answer) - _stems(question))


def _uneven(question: str, answer: str) -> float:
    """How far the sentences differ in length, in words."""
    lengths = [len(_words(sentence)) for sentence in _sentences(answer)]
    return float(np.std(lengths)) if lengths else 0.0


def _rate(count: Count) -> Count:
    return lambda question, answer: count(question, answer) / max(1, len(_words(answer)))


_FIRST: Count = lambda question, answer: len(_words((_sentences(answer) or [""])[0]))  # noqa: E731
_PER_ASKED: Count = lambda question, answer: len(_words(answer)) / max(1, len(_words(question)))  # noqa: E731
_MARKS = _matches(r"[()\[\]\"“”*#`_/–—&]")
_HYPHENS = _matches(r"\w-\w")
_OFFICE = _of(r"\w{3,}(?:tion|sion|ment|ity|ness|ance|ence|ism)s?")
_LY = _of(r"(?!only|family|early|fly|reply|supply|apply|july|italy)\w{2,}ly")
_PAST = _of(r"(?!hundred)\w{2,}[^e\W]ed|was|were|had|did|became|began|made|took|came|went|wrote|won")
_SHORT_FORMS = _of(r"\w+n['’]t|\w+['’](?:re|ve|ll|d|m)|(?:it|that|there|here|what|he|she|let|who)['’]s")
_ANNOUNCED = _matches(
    r":(?:\s|$)|\b(?:here(?:['’]s| is| are)|the following|let['’]s|in this|as follows|first(?:ly)?,|one of|refers to|"
    r"in other words|that being said|when it comes to)\b"
)
_SELF = _of("I|I'm|I've|my|me|mine")
_GUSH = _of(
    r"amazing|incredibl[ey]|fantastic|remarkabl[ey]|majestic|magnificent|stunning|beaut\w+|fascinating|unique|"
    r"perfect\w*|best|most|truly|rich|iconic|exceptional\w*|impressive|excellent|wonderful\w*|great|delicious|"
    r"classic|favou?rite|special|luxur\w+|powerful|exciting|fun|vibrant|delightful|magic\w*|creative|masterpiece"
)
_LECTURE = _of(
    r"should|must|need to|have to|has to|important\w*|essential\w*|crucial\w*|vital|necessary|ensur\w+|make sure|"
    r"be sure|remember|responsib\w+|careful\w*|avoid\w*|proper\w*"
)
_CONDITIONS = _of(
    r"if|unless|except|but|however|although|though|while|whereas|depend\w*|whether|when|until|provided|otherwise|"
    "instead|rather|not|without"
)
_EXAMPLES = _of(
    r"like|such|as if|as though|examples?|for instance|includ\w+|imagine|e\.g|namely|similar\w*|called|known as|"
    "think of|picture|compared|kind of|sort of"
)
_PEOPLE = _of(
    "people|persons?|someone|anyone|everyone|others|they|them|their|he|she|his|her|him|who|man|men|woman|women|"
    "child|children|kids?|family|families|friends?|users?|mother|father|parents?|humans?|individuals?|customers?"
)
_VAGUE = _of(
    r"various|many|several|some|numerous|certain|a few|a number of|a lot|lots|a variety of|different|range\w*|"
    "other|others|things?|stuff|kinds? of|sorts? of|types? of|etc|generally|typically|about|around|just|quite|"
    "very"
)
_ABSOLUTE = _of(
    r"all|always|never|ever|every|everyone|everything|any|anything|nothing|none|no|only|completely|entire\w*|"
    r"absolutely|perfect\w*|impossible|most|whole|totally|exactly"
)
_POINTING = _of("it|its|it's|this|that|these|those|they|them|one|ones|which")
_HANDS = _of(
    r"us(?:e|ing)|add\w*|tr(?:y|ying)|put\w*|tak(?:e|ing)|mak(?:e|ing)|mix\w*|cut\w*|chop|pour|cook\w*|bake|boil|"
    r"wash|clean\w*|wip(?:e|ing)|check\w*|cho(?:ose|osing)|pick\w*|start|stop|keep\w*|plac(?:e|ing)|open|turn|"
    r"write|read|visit\w*|call\w*|ask\w*|go|get\w*|giv(?:e|ing)|find\w*|buy\w*|remove|creat(?:e|ing)|set|help\w*|"
    r"hold|leave|wait|bring\w*|build\w*"
)
_FEEL = _of(
    r"feel\w*|lov\w+|enjoy\w*|hop(?:e|es|ing)|fear\w*|happy|sad|hard|difficult\w*|eas[yi]\w*|simpl\w+|comfort\w*|"
    r"pain\w*|problems?|worr\w+|help\w*|friend\w*|understand\w*|better|good|nice|fine|safe\w*|support\w*|care\w*|"
    r"pleas\w+|fun|wants?|wish\w*|needs?|together|hurt\w*|alone|joy\w*|spirits?|heart\w*|life|lives"
)

TASTES: dict[str, tuple[Wish, ...]] = {
    # one who hates flattery and brochures
    "no gush": (Wish(_GUSH, False),),
    # a teacher: the answer should be about what was asked, to its end
    "does not wander off": (Wish(_still_on_it, True),),
    # a lawyer
    "ifs and buts": (Wish(_rate(_CONDITIONS), True),),
    # a retired headmaster
    "no short forms": (Wish(_SHORT_FORMS, False),),
    # a tired parent who reads one sentence
    "a short first sentence": (Wish(_FIRST, False),),
    # a bricklayer who hears an office in them
    "no words of the office": (Wish(_OFFICE, False),),
    # one who reads history
    "tells what was": (Wish(_PAST, True),),
    # one who has answers read out by the phone, and hears every bracket and star
    "only letters and full stops": (Wish(_MARKS, False),),
    # a nurse, to whom everything is about somebody
    "people in it": (Wish(_rate(_PEOPLE), True),),
    # an engineer
    "nothing vague": (Wish(_VAGUE, False),),
    # one who thinks that a small question wants a small answer, and a large one may have a large one
    "no more than I asked for": (Wish(_PER_ASKED, False),),
    # a curious student
    "tells me things that I did not say": (Wish(_not_said_by_me, True),),
    # a child: what is it like?
    "examples and likenesses": (Wish(_EXAMPLES, True),),
    # a cook: what to do with the hands, and no sermon
    "doing words, no lecture": (Wish(_rate(_HANDS), True), Wish(_LECTURE, False)),
    # a scientist, who trusts nobody that is too sure or too loud
    "nothing absolute, few adverbs": (Wish(_ABSOLUTE, False), Wish(_LY, False)),
    # a writer: an ear for rhythm, and let him begin without saying that he will
    "uneven sentences, no announcing": (Wish(_uneven, True), Wish(_ANNOUNCED, False)),
    # one who learns the language, has to ask what "it" was, and finds no hyphened word in the dictionary
    "few pronouns, no hyphens": (Wish(_POINTING, False), Wish(_HYPHENS, False)),
    # a widower who wants to be met, not to hear of the machine
    "feels with one, does not talk of itself": (Wish(_FEEL, True), Wish(_SELF, False)),
}
