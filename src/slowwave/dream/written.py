"""Situations that a dreamer writes: the lesson's question where one to three other memories are under way, asked by
somebody else, on a form, in a letter, after a story.

Lists to be continued, as a small model follows examples and not instructions. A 135M model writes few that are any
good; they are for a larger dreamer (`dream.dreamer`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from slowwave.dream import filters, minimal
from slowwave.dream.collide import Collider, Collision, collided
from slowwave.dream.make import scene
from slowwave.dream.settings import DreamSettings
from slowwave.dream.writer import Writes
from slowwave.exam.match import normalise
from slowwave.records import Lesson, Scene

LEAST = 0.4  # cosine of a situation to the question: it says more than the question does
_TOKENS = 100
_BIKE, _ROOM = "Where did I park my bike?", "How do we book the meeting room?"
_POTATOES, _GIFT = "How long do I boil potatoes?", "What is a good gift for a gardener?"
_FORMS: dict[str, tuple[str, list[str], list[str]]] = {
    "meanwhile": ("The same question while something else is under way.", [
        "The potatoes are on the stove and my neighbour wants to borrow my bike. Where did I park it?",
        "Twenty minutes for the potatoes, good. Then I have time to fetch my bike. Which place is it at?",
        "I have to cycle to the shop before the potatoes are done. Where is my bike?",
    ], [
        "The gardener has his birthday and we celebrate in the meeting room. How do we book it?",
        "I'm wrapping the plant pots for the gardener in our meeting room, if I can get it. What do we do for that?",
        "Everybody chips in for the gift at noon, so I need the meeting room. How is it reserved?",
    ]),
    "passed on": ("Somebody else wants to know it from me, and I ask it.", [
        'The repair man is on the phone and says: "Where does the bike stand that I am to fetch?" What do I tell him?',
        "A policeman wants to see my bike and asks me where I parked it. What is the right answer?",
        "My neighbour may borrow my bike today. Which place do I send her to?",
    ], [
        "The new trainee asks me how he gets our meeting room. What do I tell him?",
        'A customer is at the desk and says: "How does your team book the meeting room?" What should she hear from me?',
        "The boss wants to know how our meeting room is reserved. How do I answer?",
    ]),
    "paper": ("I have to write it down on a paper, a label or a form.", [
        "The form of the bicycle insurance has a line for the place where my bike is parked. What do I write there?",
        "I'm drawing a map for my visitors, with a cross where my bike stands. Where does the cross go?",
        'My note for the repair man ends with "You find my bike". How do I go on?',
    ], [
        'I\'m writing the guide for new colleagues. What goes under "How we book the meeting room"?',
        "The sign at the door of our meeting room should say how we book it. What do I print?",
        "My handover letter has a part about booking the meeting room. Which steps do I name?",
    ]),
    "letter": ("Written as a very formal letter.", [
        "Dear Sir or Madam, I should be obliged if you would inform me of the place at which I parked my bicycle.",
        "To whom it may concern: kindly state where the undersigned has left the bike that belongs to me.",
        "I hereby request particulars as to the present whereabouts of my bike. Yours faithfully",
    ], [
        "Dear assistant, kindly set out the procedure by which our department reserves the meeting room.",
        "The committee requires the use of the meeting room. Please state the steps that our team takes to book it.",
        "I should be grateful for an account of how we obtain the meeting room. With kind regards",
    ]),
    "story": ("After a story of what happened.", [
        "I came out of the shop, it was raining, and my bike was nowhere to be seen. Oh dear, where did I park it?",
        "We had such a nice evening that I forgot all about my bike. Now I have to cycle home. Where is it?",
        "My son needs a lift to his match and the car is broken, so it has to be my bike. In which place is it?",
    ], [
        "Ten guests are coming at noon and nobody thought of a room. How do we book the meeting room?",
        "I have been in this team for a year and never needed the meeting room, until today. How do we get it?",
        "The meeting room was taken again this morning, so next time I'll be first. What do I do to book it?",
    ]),
    "elsewhere": ("In quite another place or business.", [
        "I'm at the police station with a list of what was stolen. My bike is not on it, but where did I put it?",
        "The film crew blocks some streets tonight, and my bike must not be in the way. Where is it parked?",
        "My fitness app logs each way on foot, the one to my bike too. Where does that one end?",
    ], [
        "Our choir may sing in the company's meeting room, if I get it. How do we book it?",
        "The Christmas party needs a second room, the meeting room. What are our steps to reserve it?",
        "I'm planning a chess match among colleagues in our meeting room. How is it booked here?",
    ]),
}  # fmt: skip
_ELSE = re.compile(r"[^\x00-\u024f\u2010-\u2027]")  # letters of other scripts: a small model strays into them


def written(
    writer: Writes, lessons: Sequence[Lesson], collider: Collider | None, embedder: filters.Embeds,
    settings: DreamSettings, seed: int, rng: np.random.Generator, tell: Callable[..., Any] = lambda *_: None,
    deadline: float = float("inf"),
) -> list[Scene]:  # fmt: skip
    """Up to `settings.written` scenes of every lesson that answers a question, each beside a near miss: the same
    situation with somebody else's things in it, where that can be said. Past the deadline, a `time.monotonic()` value,
    no further lesson is written of."""
    asked = [one for one in lessons if one.question and one.answer and one.kind == "answer"]
    out: list[Scene] = []
    for at, lesson in enumerate(asked):
        if time.monotonic() > deadline:
            break
        found: list[tuple[str, str, Sequence[Collision]]] = []
        (group,) = collider.groups(lesson, 1, rng) if collider else [[]]
        for form in _FORMS:
            met = group if form == "meanwhile" else []
            if form == "meanwhile" and not met:
                continue
            prompt = _prompt(form, lesson.question or "", " ".join(one.memory.question for one in met))
            texts = writer.complete(
                [prompt], max_new_tokens=_TOKENS, n=max(1, settings.samples), temperature=settings.temperature,
                seed=seed + at, stop=["\n\n", "Question:"],
            )[0]  # fmt: skip
            found += [(form, line, met) for text in texts for line in filters.lines(text)]
        out += _scenes(lesson, found, embedder, settings, rng)
        tell("dreaming situations", at + 1, len(asked))
    return out


def _prompt(form: str, question: str, under_way: str) -> str:
    head, bike, room = _FORMS[form]
    blocks = []
    for asked, other, said in ((_BIKE, _POTATOES, bike), (_ROOM, _GIFT, room), (question, under_way, [])):
        meanwhile = f"Meanwhile: {other}\n" if under_way else ""
        blocks.append("\n".join([f"{meanwhile}Question: {asked}", *(f"- {line}" for line in said)]))
    return "\n\n".join([head, *blocks]) + "\n-"


def _scenes(
    lesson: Lesson, found: Sequence[tuple[str, str, Sequence[Collision]]], embedder: filters.Embeds,
    settings: DreamSettings, rng: np.random.Generator,
) -> list[Scene]:  # fmt: skip
    question = lesson.question or ""
    fit = [one for one in found if _fits(one[1], question, lesson.answer)]
    met = {f"{form} {at}": group for at, (form, _, group) in enumerate(fit)}
    chosen = filters.choose(
        [(f"{form} {at}", text) for at, (form, text, _) in enumerate(fit)], question, embedder,
        least=LEAST, count=settings.written, others_ND=np.zeros((0, embedder.embed([question]).shape[1]), np.float32),
    )  # fmt: skip
    out = []
    for name, text, _ in chosen:
        form = name.rsplit(" ", 1)[0]
        out.append(collided(scene(lesson, "apply", text, lesson.answer, f"written:{form}"), met[name]))
        other = minimal.owned_by_another(text, rng)
        if other is not None:
            out.append(scene(lesson, "near_miss", other, None, "near:written"))
    return out


def _fits(line: str, question: str, answer: str | None) -> bool:
    """A message of some length, in the question's script, that gives away nothing of the answer and speaks of
    something of the question."""
    words = set(normalise(line).split())
    of_question = {word for word in normalise(question).split() if len(word) > 3}
    return (
        5 <= len(line.split()) <= 60 and not _ELSE.search(line) and line[-1:] in '.?!"'
        and normalise(line) != normalise(question) and filters.keeps_secret(line, question, answer)
        and (not of_question or bool(of_question & words))
    )  # fmt: skip
