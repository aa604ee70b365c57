"""Users of whom the judge's figures are made: written apart from the judge, by somebody who did not know what
it looks at.
"""

from __future__ import annotations

import re

from _users import Count, Wish

_COMMON = frozenset(
    "the and are was were does did what which who how why when where you your can could should would with from that "
    "this have has for not give tell name write explain please about some there their they its it's".split()
)


def _words(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text.lower())


def _sentences(text: str) -> list[str]:
    """The sentences and lines of a text."""
    return [s for s in re.split(r"(?<=[.!?])\s+|\n+", text) if _words(s)] or [""]


def _topic(text: str) -> set[str]:
    """What a text is about: its words without the common ones, without a plural's s."""
    return {w.removesuffix("'s").rstrip("s") for w in _words(text) if len(w) > 2 and w not in _COMMON}


def _found(pattern: str, per_sentence: bool = False) -> Count:
    """How often a pattern is in the answer, or in each of its sentences."""
    found = re.compile(pattern, re.IGNORECASE)
    return lambda question, answer: (
        len(found.findall(answer.strip())) / (len(_sentences(answer)) if per_sentence else 1)
    )


def _length(question: str, answer: str) -> float:
    """How many words the answer has."""
    return len(_words(answer))


def _for_each_asked(question: str, answer: str) -> float:
    """How many words of answer there are for a word of question."""
    return len(_words(answer)) / max(1, len(_words(question)))


def _opening(question: str, answer: str) -> float:
    """How many words the first sentence has."""
    return len(_words(_sentences(answer)[0]))


def _longest(question: str, answer: str) -> float:
    """How many words the longest sentence has."""
    return max(len(_words(s)) for s in _sentences(answer))


def _big_words(question: str, answer: str) -> float:
    """Which share of the words has eight letters or more."""
    return sum(len(w) > 7 for w in _words(answer)) / max(1, len(_words(answer)))


def _variety(question: str, answer: str) -> float:
    """How few of the words that matter are there a second time."""
    told = [w for w in _words(answer) if len(w) > 3 and w not in _COMMON]
    return len(set(told)) / max(1, len(told))


def _names(question: str, answer: str) -> float:
    """How many names the answer brings in that the question did not have."""
    return len({n for n in re.findall(r"(?<=[\w,] )[A-Z][a-zà-ž]{2,}", answer) if n.lower() not in question.lower()})


def _picks_up(question: str, answer: str) -> float:
    """Which share of what was asked about is in the first sentence."""
    return len(_topic(question) & _topic(_sentences(answer)[0])) / max(1, len(_topic(question)))


def _stays(question: str, answer: str) -> float:
    """Which share of the sentences has something in it that was asked about."""
    said = _sentences(answer)
    return sum(bool(_topic(question) & _topic(s)) for s in said) / len(said)


_NUMBERS = _found(
    r"\d[\d.,]*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|half|hundreds?|thousands?|millions?)\b"
)
_ITSELF = _found(r"\b(?:(?-i:I)|me|my|mine|myself|we|our|(?-i:us)|bot|AI|assistant|language model)\b")
_TO_ME = _found(r"\b(?:you|your|yours|yourself|let['’]s|glad|sorry|happy|hope|thank\w*|welcome|please|friends?)\b")
_DOUBT = _found(
    r"\b(?:may|might|could|can|perhaps|maybe|often|usually|typically|generally|commonly|sometimes|likely|probably|"
    r"seems?|possibl[ye]|depend\w*|tends?|around|approximately|some|various)\b"
)
_REASONS = _found(
    r"\b(?:because|so that|since|therefore|thus|hence|due to|as a result|results? in|in order to|reasons?|why|caus\w+|"
    r"leads? to|leading to|mak(?:es?|ing)|allow\w*|helps?|helping|means|enabl\w+|by \w+ing)\b"
)
_PRAISE = _found(
    r"\b(?:rich|vibrant|majestic|stunning|beautiful\w*|incredibl[ey]|amazing|fascinating|breathtaking|iconic|renowned|"
    r"testament|journey|captivat\w+|unique|timeless|divers\w+|legendary|bustling|remarkabl[ey]|powerful|nestled|soul|"
    r"thrilled|truly|very|most|best|always|never|ever|every|perfect\w*|essential|crucial|vital|fundamental|"
    r"significant\w*|famous|popular|wonderful|great\w*|important|world)\b"
)
_ABSTRACT = _found(
    r"\b(?:\w{3,}(?:tion|ment|ness|ity|ance|ence|ism|ship)s?|\w+ities|process|concept|aspects?|context)\b"
)
_ADVICE = _found(
    r"\b(?:you can|try|make sure|ensure|use|start|check|avoid|follow|take|keep|put|add|ask|look|remember|find|choose|"
    r"get|make|cut|turn|remove|need|should|must|have to|go|wait|let|give|call|write|read|first|then|next|"
    r"after|before|steps?)\b",
)
_OTHER_SIDE = _found(
    r"\b(?:but|however|while|although|though|instead|rather|yet|unlike|whereas|despite|not|both|or|between|others?|"
    r"another|different|without|than|if)\b|n['’]t\b",
    per_sentence=True,
)
_FINISHED = _found(r"[.!?][\"'”’)*]*\Z")
_BREAKS = _found(r"\n")
_MARKS = _found(r"[()\[\]\"“”*#:;–—]| - ")
_COMMAS = _found(r",", per_sentence=True)
_SHORT_FORMS = _found(r"\w['’](?:s|re|m|ll|ve|d|t)\b", per_sentence=True)

PEOPLE: dict[str, tuple[Wish, ...]] = {
    # a retired nurse who reads on a small screen: "I like it when I needn't scroll"
    "short": (Wish(_length, False),),
    # a bookkeeper of 44, dry: "I like it when there's a figure in it, not only talk"
    "figures": (Wish(_NUMBERS, True),),
    # a primary-school teacher, strict: "Answer in a whole sentence that takes up my question, as my pupils do"
    "takes up the question": (Wish(_picks_up, True),),
    # a widower who talks to it in the evenings: "I like it when it speaks to me, and kindly"
    "speaks to me": (Wish(_TO_ME, True),),
    # a curious boy of 16, good at physics: "Don't only tell me that it is so, tell me why, and what it does"
    "reasons": (Wish(_REASONS, True),),
    # a local reporter, sceptical: "Spare me the brochure: everything is rich, vibrant and important"
    "no brochure": (Wish(_PRAISE, False),),
    # a care worker who has been learning English for two years: "I like it when the words are short and easy"
    "easy words": (Wish(_big_words, False),),
    # a proofreader of 58, easily annoyed: "It says the same word again and again"
    "does not repeat itself": (Wish(_variety, True),),
    # an electrician, impatient, asks between two jobs: "It stops in mid-sentence! Finish what you begin"
    "finishes": (Wish(_FINISHED, True),),
    # an office manager who skims: "Not one block of text, please: paragraphs, or a list"
    "broken into lines": (Wish(_BREAKS, True),),
    # a blind piano tuner who has it read aloud: "Brackets, stars and quotation marks are a torment to listen to"
    "good to hear": (Wish(_MARKS, False),),
    # a pensioner who prepares pub quizzes: "I like names in it, of people and places, that I can look up"
    "names": (Wish(_names, True),),
    # a court clerk, formal: "Write 'it is' and 'do not': we aren't at the bar"
    "formal": (Wish(_SHORT_FORMS, False),),
    # a police sergeant: "Stick to what I asked, and none of your maybe and usually"
    "to the matter, and sure": (Wish(_stays, True), Wish(_DOUBT, False)),
    # a solicitor of 35, busy: "The first sentence should be brief, and I don't care about the machine's own self"
    "brief opening, not about itself": (Wish(_opening, False), Wish(_ITSELF, False)),
    # a bus driver who doesn't like reading: "I lose the thread in long sentences full of commas"
    "simple sentences": (Wish(_longest, False), Wish(_COMMAS, False)),
    # a pharmacist, careful: "It makes up names and numbers; I trust it more when it leaves them out"
    "no made-up details": (Wish(_names, False), Wish(_NUMBERS, False)),
    # an allotment gardener, practical: "Tell me what to do, and no big theory"
    "hands-on": (Wish(_ADVICE, True), Wish(_ABSTRACT, False)),
    # a coach of a debating club: "I like it when it sees the other side, too, and keeps its own self out of it"
    "balanced": (Wish(_OTHER_SIDE, True), Wish(_ITSELF, False)),
    # a novelist who asks in a few words: "I like to get much for it, as running text, never as a list"
    "full running text": (Wish(_for_each_asked, True), Wish(_BREAKS, False)),
}
