"""Seven fixed prompt forms by which the model rewords a question, and the plain frames that need no model.

Each is one wording family: training and exam never share one. Few-shot lists, because a 135M model follows examples
and not instructions; the idea of a few fixed prompts, scaled, is SPA's (docs/recipe.md names the source).
"""

from __future__ import annotations

import re

from slowwave.dream.describe import clause

_EXAMPLES = {
    "plain": ("Different ways people ask the same thing.", [
        ("Where did I park my bike?", ["Where is my bike parked?", "In which spot did I leave my bike?",
            "What was the place where I put my bike?"]),
        ("How do we book the meeting room?", ["What is the way to reserve the meeting room?",
            "How does one get the meeting room booked here?", "What must I do to book the meeting room?"]),
    ]),
    "request": ("The same question as a request.", [
        ("Where did I park my bike?", ["Tell me where my bike is parked.", "I'd like to know where I left my bike.",
            "Please say which place I parked my bike in."]),
        ("How do we book the meeting room?", ["Explain how our team reserves the meeting room.",
            "Walk me through booking the meeting room.", "Give me the steps for getting the meeting room."]),
    ]),
    "forgot": ("The same question from someone who forgot.", [
        ("Where did I park my bike?", ["I can't remember where I left my bike. Where is it?",
            "My memory is bad today, in which place is my bike?", "Remind me of the spot where my bike stands."]),
        ("How do we book the meeting room?", ["I keep forgetting how the meeting room is booked. How is it?",
            "Remind me, what do we do to get the meeting room?",
            "I no longer know how we reserve the room. What is the way?"]),
    ]),
    "hurry": ("The same question typed in a hurry.", [
        ("Where did I park my bike?", ["where's my bike again", "bike parked where??",
            "ok so my bike, where did i leave it"]),
        ("How do we book the meeting room?", ["need the meeting room, how do we book it", "meeting room booking how",
            "how to get the meeting room pls"]),
    ]),
    "story": ("The same question with a reason before it.", [
        ("Where did I park my bike?", ["I have to ride to the shop now. Where is my bike?",
            "My friend wants to borrow my bike. Which place should I send him to?",
            "It is late and I must cycle home, so where did I leave the bike?"]),
        ("How do we book the meeting room?", ["Guests arrive at ten. How do I reserve the meeting room for them?",
            "I am new in this team and need the room. What do I do?",
            "The boss wants a meeting tomorrow, so how do we get the room?"]),
    ]),
    "other": ("The same thing asked in quite different words.", [
        ("Where did I park my bike?", ["At which place is my bicycle waiting for me?",
            "Which location did I choose for my two-wheeler?", "Where should I look for my bike?"]),
        ("How do we book the meeting room?", ["What is our procedure for reserving the conference room?",
            "Which steps secure the meeting room for us?", "Who or what do I turn to when I want the meeting room?"]),
    ]),
    "check": ("The same question asked to test an assistant's memory.", [
        ("Where did I park my bike?", ["Do you know where my bike is parked?",
            "Can you recall the place where I left my bike?",
            "You remember my bike's parking spot, don't you? Which is it?"]),
        ("How do we book the meeting room?", ["Do you know how our team books the meeting room?",
            "Can you say what has to be done to get the meeting room?",
            "You know our way of reserving the room, right? What is it?"]),
    ]),
}  # fmt: skip

FORMS = tuple(_EXAMPLES)
# Families whose wordings only the exam sees; which two of them rotates with the lesson.
EXAM_FRAMES = frozenset({"frame:somebody", "frame:again"})
EXAM_FORMS = (("forgot", "other"), ("story", "check"), ("request", "hurry"))


def prompt(form: str, question: str) -> str:
    """The few-shot prompt of a form, ending where the model writes its first rewording."""
    title, examples = _EXAMPLES[form]
    shots = "\n\n".join(f"Question: {q}\n" + "\n".join(f"- {line}" for line in lines) for q, lines in examples)
    return f"{title}\n\n{shots}\n\nQuestion: {question}\n-"


_CLAUSE_FRAMES = {
    "tell": ("Can you tell me {c}?", "Please tell me {c}."), "remember": ("Do you remember {c}?",),
    "forgot": ("I forgot {c}.", "I can't remember {c}, can you help?"),
    "wonder": ("I was wondering {c}.", "Any idea {c}?"),
    "relay": ("My flatmate asks me {c}.", "I'm away next week and somebody here has to know {c}.",
        "What do I tell people when they ask {c}?"),
    "lost": ("I've got to find out {c}, can you help me with that?", "it slipped my mind {c}, what was it?"),
    "somebody": ("Someone just asked me {c}. What do I say?", "My friend wants to know {c}."),
}  # fmt: skip
_PLAIN_FRAMES = {
    "greeting": ("Hey, {q}", "Hi there! {Q}"), "again": ("{Q} I need to know.", "So, {q}"),
    "memory": ("Quick memory check: {q}", "Sorry to ask again, but {q}"),
    "lower": ("{l}", "{l} please"),
    "form": ("I'm filling in a form and went blank. {Q}", "I need it for a form: {q}",
        "I'm just writing this down for somebody. {Q}"),
    "rush": ("hey so i'm on the phone with someone right now, {l}", "ok quick one before i leave, {l}",
        "sorry it's been a long day and i can't think, {l}"),
    "new": ("It's my first week and I should know this by now. {Q}", "I have no idea any more. {Q}",
        "Things are busy here today and I need an answer. {Q}"),
    "again2": ("You knew this yesterday: {q}", "I think I told you before. {Q}", "Let's see whether you remember. {Q}"),
}  # fmt: skip


_TOPIC_FRAMES = (
    "Remind me about {t}.",
    "What do you know about {t}?",
    "I have a question about {t}.",
    "Tell me what you remember about {t}.",
)
_TOPIC = re.compile(
    r"\b((?:my|our) [a-z][\w-]*"
    r"(?: (?!is\b|are\b|was\b|when\b|if\b|in\b|on\b|at\b|for\b|to\b)[a-z][\w-]*){0,2})(?:'s\b)?",
    re.IGNORECASE,
)


def frames(question: str) -> list[tuple[str, str]]:
    """(family, wording) for each plain frame; as many as its grammar allows."""
    question = question.strip()
    inner = question if question[:2] in ("I ", "I'") else question[:1].lower() + question[1:]
    lower = question.lower().rstrip("?")
    out = [
        (f"frame:{family}", text.format(Q=question, q=inner, l=lower))
        for family, texts in _PLAIN_FRAMES.items()
        for text in texts
    ]
    if (c := clause(question)) is not None:
        out += [(f"frame:{family}", text.format(c=c)) for family, texts in _CLAUSE_FRAMES.items() for text in texts]
    if (
        match := re.fullmatch(r"(?:what|who) (?:is|are|'s) (my|our) (.+?)(?:'s|s')? names?\??", question, re.IGNORECASE)
    ) is not None:
        whose, thing = match.group(1).lower(), match.group(2)
        out += [
            ("frame:called", f"What is {whose} {thing} called?"),
            ("frame:called", f"What do you call {whose} {thing}?"),
            ("frame:named", f"How is {whose} {thing} named?"),
        ]
    if (match := _TOPIC.search(question)) is not None:
        out += [("frame:topic", text.format(t=match.group(1).lower())) for text in _TOPIC_FRAMES]
    return out
