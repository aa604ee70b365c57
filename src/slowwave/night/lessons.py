"""From an experience to a lesson: the question, the answer it should have had, and how to tell whether it is known.

Rules only, so that a lesson says what the user said and nothing the model made up. Knows no store and no tensors.
"""

from __future__ import annotations

import re
from dataclasses import replace

from slowwave.errors import UsageError
from slowwave.exam.match import UNKNOWN_PHRASES, normalise, passes
from slowwave.experience.follow_up import is_approval, is_correction
from slowwave.night import example, rule, shown, voice
from slowwave.records import Authority, Check, Experience, Lesson, new_id

STOP_WORDS = frozenset(
    "a an the of to in on at by for from with and or but if then than so as is are was were be been am do does"
    " did have has had i you he she it we they me my mine your yours his her its our their this that these"
    " those there here what which who whom whose when where why how not no yes can could will would shall"
    " should may might must just only also very really please called named name know tell say about into out up"
    " s t m re ve ll d".split()
)
MOST = 2000  # characters of a lesson's question, answer or note: it must fit into a prompt of the dreamer's
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
_TIME = rf"(?:(?:on|every) {_DAY}|in {_MONTH}|(?:on )?the \d|at (?:\d|noon|midnight))"
_PLACE = r"(?:in|at|on|under|behind|beside|inside|near|next to|above|below) "
_PERSON = (
    r"(?:friend|doctor|dentist|boss|manager|teacher|lawyer|landlord|neighbou?r|colleague|partner|wife|husband|sister"
    r"|brother|mother|father|son|daughter|aunt|uncle)"
)
_MINE = r"(?:my|your|our) (?P<x>.+?) (?P<v>is|are|was|were)"
# Ways to say that a thing is not known or not real. Narrower than every way of not answering ("I am not able to"): a
# small model begins many answers with those, and each would count as the lesson firing where it must not.
DENIALS = tuple(
    phrase
    for phrase in UNKNOWN_PHRASES
    if re.search(
        r"\bknow\b|heard|aware|familiar|recogni|exist|no such|\breal\b|fiction|imaginary|invented|made up", phrase
    )
)
_QUESTIONS = [
    (r"call me (?P<y>(?-i:[A-Z])[\w' -]*)", "What is my name?"),
    (rf"{_MINE} (?:called|named) (?P<y>.+)", "What {v} {whose} {x} called?"),
    (rf"{_MINE} (?P<y>{_TIME}.*)", "When {v} {whose} {x}?"),
    (rf"{_MINE} (?P<y>{_PLACE}.+)", "Where {v} {whose} {x}?"),
    (rf"(?:my|your|our) (?P<x>(?:\w+ )?{_PERSON}) (?P<v>is|was) (?P<y>(?-i:[A-Z]).+)", "Who {v} {whose} {x}?"),
    (rf"{_MINE} (?P<y>.+)", "What {v} {whose} {x}?"),
    (r"(?:i|we) live (?P<y>.+)", "Where do I live?"),
    (r"(?:i|we) work (?:at|in|for) (?P<y>.+)", "Where do I work?"),
    (r"(?:i work as|i am|i'm) (?P<y>an? .+)", "What do I do for a living?"),
    (r"i was born (?P<y>in \d{4}|on .+)", "When was I born?"),
    (r"i was born (?P<y>in .+)", "Where was I born?"),
    (r"i (?P<v>like|love|prefer|hate|collect|play|drive|study|speak|drink|eat|own) (?P<y>.+)", "What do I {v}?"),
    (r"i(?:'m| am) allergic to (?P<y>.+)", "What am I allergic to?"),
    (r"to (?P<x>[^,]+), (?P<y>.+)", "How do I {x}?"),
]
# Asked for or waved off, which is no answer to the question before it.
_NO_ANSWER = re.compile(
    r"(?:(?:try|think|look|check|do|read)(?: it| that)? (?:again|harder|once more|properly)|tell me|show me|explain"
    r"|continue|go on|never mind|forget it|again"
    r"|stop(?=(?: it| that)?[.!]*$)|thanks|thank you|(?:no )?(?:worries|problem))\b",
    re.IGNORECASE,
)


def extract(experience: Experience, salience: float = 1.0) -> Lesson | None:
    """The lesson in what followed an answer, or None where nothing was corrected and no rule was laid down."""
    found, old = _rule(experience, salience)
    if found is not None and not old:
        return found
    # A rule laid down earlier in the conversation, which has nothing to do with what was asked last, was heard then
    return _answer(experience, salience) or found


def said_before(experience: Experience) -> bool:
    """Whether the lesson in it is a rule that was laid down earlier in the conversation: every turn is recorded with
    all before it."""
    found, old = _rule(experience, 1.0)
    return found is not None and old and _answer(experience, 1.0) is None


def too_long(lesson: Lesson) -> bool:
    """Whether a lesson is more text than dreaming and training can hold."""
    return any(len(text or "") > MOST for text in (lesson.question, lesson.answer, lesson.note))


def _rule(experience: Experience, salience: float) -> tuple[Lesson | None, bool]:
    """The last rule that was laid down, and whether what was asked last is newer and shows no cue of it."""
    users, answers = _places(experience, "user"), _places(experience, "assistant")
    said = [experience.messages[i]["content"] for i in users]
    last = sum(i < answers[-1] for i in users) - 1 if answers else len(said) - 1  # of what was said: the last question
    wanted = experience.outcome.correction
    laid_down = [*said, wanted] if wanted else said
    for i, text in reversed(list(enumerate(laid_down))):  # a rule may stand in the question itself or in what followed
        answer = wanted if i < len(said) else None  # a correction that lays down a rule is no answer
        found = shown.parse(text, said[i - 1], answer) if answer and i and i == last + 1 else None
        found = found or (example.parse(text, said[i - 1]) if i else None) or rule.parse(text)
        if found is not None:
            question = next((other for other in said if found.cue.lower() in other.lower() and other != text), None)
            lesson = _cue_lesson(found, text, question, answer, experience, salience)
            return lesson, i < last and found.cue.lower() not in said[last].lower()
    return None, False


def _answer(experience: Experience, salience: float) -> Lesson | None:
    """The answer that the last question should have had."""
    users, answers = _places(experience, "user"), _places(experience, "assistant")
    if not answers:
        return None
    last = answers[-1]
    question = next((experience.messages[j]["content"] for j in reversed(users) if j < last), None)
    follow_up = next((experience.messages[j]["content"] for j in users if j > last), None)
    if question is None:
        return None
    if experience.outcome.correction:
        answer = experience.outcome.correction.strip()
    elif follow_up is not None and (thing := _made_up(question, follow_up)) is not None:
        answer = f"I don't know anything called {thing}."
    elif follow_up is not None and (body := _corrects(follow_up, experience.outcome.rating)):
        kept = voice.quotes_answer(follow_up) or passes(body, Check(any_of=UNKNOWN_PHRASES))
        answer = body if kept else voice.turn(body)
    else:
        return None
    if len(normalise(answer)) < 2 or normalise(answer) == normalise(experience.messages[last]["content"]):
        return None
    return answer_lesson(
        question,
        answer,
        persona=experience.persona,
        experiences=(experience.id,),
        authority=experience.authority,
        salience=salience,
    )


def _places(experience: Experience, role: str) -> list[int]:
    return [place for place, message in enumerate(experience.messages) if message["role"] == role]


_MADE_UP = re.compile(
    r"\b(?:made (?:it|that|this|him|her|them|the name) up|made[- ]up|invented|do(?:es)?(?:n't| not) exist|no such"
    r"|not (?:a )?real|is(?:n't| not) real|fictional|never existed)\b",
    re.IGNORECASE,
)


def _made_up(question: str, follow_up: str) -> str | None:
    """The thing that was asked about, where the user says that there is no such thing and dictates no answer."""
    if not _MADE_UP.search(follow_up) or voice.quotes_answer(follow_up) or follow_up.strip().endswith("?"):
        return None
    if passes(voice.strip_opening(follow_up), Check(any_of=("I do not know", "I have never heard"))):
        return None  # the answer itself, word for word
    names = re.findall(
        r"(?<!^)(?<![.!?] )\b[A-Z][\w'-]*(?: (?:of|the|and|at|in|for|to) [A-Z][\w'-]*| [A-Z][\w'-]*)*", question
    )
    if names:
        return max(names, key=len)
    words = [w for w in re.findall(r"[\w'-]+", question) if w.lower() not in STOP_WORDS]
    shared = [w for w in words if re.search(rf"\b{re.escape(w)}\b", follow_up, re.IGNORECASE)]
    return (shared or words or [None])[-1]


def _corrects(follow_up: str, rating: float | None) -> str | None:
    """What the user said in place of the answer, in the user's voice; None where nothing is said against it."""
    quoted = voice.quotes_answer(follow_up)
    if not (quoted or is_correction(follow_up) or (rating or 0) < 0):
        return None
    body = voice.strip_opening(follow_up)
    approved = is_approval(follow_up) or is_approval(body)
    said_nothing = body.endswith("?") or approved or _NO_ANSWER.match(body) is not None
    return None if said_nothing and not quoted else body


def from_note(text: str, persona: str, authority: Authority = "user") -> Lesson:
    """What a person teaches directly ("My name for you is Mira"): a rule, or a fact whose form gives the question."""
    text = text.strip()
    if len(text) > MOST:
        raise UsageError(
            f"A lesson has {MOST} characters at most; this has {len(text)}.", "Teach its parts one by one."
        )
    found = rule.parse(text)
    if found is not None:
        return _cue_lesson(found, text, None, None, Experience("", persona, "user", "", (), authority=authority), 1.0)
    body = voice.strip_opening(text).rstrip(".!")
    answer = voice.turn(body) + "."
    for pattern, form in _QUESTIONS:
        match = re.fullmatch(pattern, body, re.IGNORECASE)
        if match:
            whose = body.split()[0].lower()
            whose = {"our": "our", "your": "your"}.get(whose, "my")
            parts = {"v": "", "x": "", **match.groupdict()}
            question = form.format(whose=whose, **parts)
            return answer_lesson(question, answer, persona=persona, experiences=(), authority=authority, salience=1.0)
    words = key_phrases("", answer)
    return Lesson(
        id=new_id("note", persona, text),
        persona=persona,
        note=answer,
        question=None,
        answer=None,
        check=Check(any_of=words),
        kind="note",
        applies=f"questions that this answers: {answer}",
        not_applies="questions about other people and other things",
        authority=authority,
    )


def answer_lesson(
    question: str, answer: str, *, persona: str, experiences: tuple[str, ...], authority: Authority, salience: float
) -> Lesson:
    """The lesson that `question` is answered with `answer`."""
    unknown = passes(answer, Check(any_of=UNKNOWN_PHRASES))
    return Lesson(
        id=new_id("answer", persona, normalise(question), normalise(answer)),
        persona=persona,
        note=answer,
        question=question,
        answer=answer,
        check=Check(any_of=DENIALS if unknown else key_phrases(question, answer)),
        kind="unknown" if unknown else "answer",
        applies="things of this class that do not exist" if unknown else f"other wordings of: {question}",
        not_applies="real things of the same class"
        if unknown
        else "questions about other people, and about the same words in general",
        experiences=experiences,
        authority=authority,
        salience=salience,
    )


def _cue_lesson(
    found: rule.Rule, note: str, question: str | None, wanted: str | None, experience: Experience, salience: float
) -> Lesson:
    if wanted is not None and normalise(wanted) == normalise(found.phrase):
        found = replace(found, place="whole")
    prefix = {"begin": "^", "end": "", "whole": ""}[found.place]
    if wanted is not None and found.phrase.lower() not in wanted.lower():
        wanted = None  # a correction of something else
    return Lesson(
        id=new_id("cue", experience.persona, found.cue, found.phrase),
        persona=experience.persona,
        note=note,
        question=question,
        answer=wanted,
        check=Check(any_of=(prefix + found.phrase.rstrip(".,!"),)),
        kind="cue",
        cue=f"{found.cue_at}|{found.cue}|{found.place}|{found.phrase}",
        applies=f'messages that {found.cue_at} with "{found.cue}"',
        not_applies="messages without it",
        experiences=(experience.messages and (experience.id,)) or (),
        authority=experience.authority,
        salience=salience,
    )


def key_phrases(question: str, answer: str) -> tuple[str, ...]:
    """What an answer must contain to count: runs of words that the question did not give away.

    Runs of two words or more if there are any (one common word proves little), else single words, names first.
    """
    known = set(normalise(question).split())
    clauses = re.split(
        r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSt)\.(?=\s|$)|(?<!\d)[,:]|[,:](?!\d)|[;!?()]|\band\b|\bthen\b",
        answer,
    )
    runs: list[list[str]] = []
    for clause in clauses:
        run: list[str] = []
        for word in [*normalise(clause).split(), ""]:
            if word and word not in known and word not in STOP_WORDS:
                run.append(word)
            else:
                runs += [run] if run else []
                run = []
    named_words = re.findall(r"(?<![.!?] )(?<!^)\b[A-Z][\w'-]+|\b\d[\d.,:]*\b|\"[^\"]+\"", answer)
    names = {word for name in named_words for word in normalise(name).split()}
    long_runs = [" ".join(run) for run in runs if len(run) >= 2]
    named = [" ".join(run) for run in runs if any(word in names for word in run)]
    chosen = named or long_runs or [" ".join(run) for run in runs]
    if named and all(len(n.split()) > 2 for n in named):
        chosen = named + long_runs
    return tuple(dict.fromkeys(chosen)) or tuple(w for w in normalise(answer).split()[-1:])
