"""Situations: a scene's message where another memory is what just went on, or something near by, after a little story,
said by another, or in another register.

A lesson that was only ever asked for alone fires only there. Near misses are put into the same situations, or the
situation itself would tell that the lesson is meant; and after a lesson's own exchange something else is asked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from slowwave.dream.bank import stories
from slowwave.dream.chains import chains
from slowwave.dream.collide import AT_ONCE, Collider, Collision, collided
from slowwave.dream.make import questions, user
from slowwave.dream.parts import parts
from slowwave.dream.registers import lowered, quoted, register, to_user
from slowwave.dream.settings import DreamSettings
from slowwave.dream.stand_in import stand_in
from slowwave.dream.verbs import gerund
from slowwave.exam.match import normalise
from slowwave.records import Lesson, Message, Scene, new_id

WAYS = ("turns", "talk", "preface", "story", "quoted", "stand_in", "register")
_ODDS = (0.2, 0.15, 0.05, 0.2, 0.12, 0.13, 0.15)  # of each
_OF_A_HABIT = ("turns", "talk", "story")  # which leave the edge of a message alone
_BRIDGES = (
    "", "", "Thanks. ", "Good. ", "And now: ", "One more thing. ", "Okay, next. ", "Perfect. ", "Something else. ",
    "Great, thank you! ", "Hm, and ", "By the way, ",
)  # fmt: skip
_PREFACES = (
    "I'm {ving} right now. {t}", "While I'm {ving}: {t}", "We're {ving} today, and there is one more thing. {t}",
    "I've just finished {ving}. {t}", "Before I start {ving}, {l}", "{Ving} made me think of it. {t}",
    "{t} I need it before {ving}.", "Somebody interrupted me while {ving}. {t}",
)  # fmt: skip
_ABOUT = (
    "We were talking about {np}. {t}", "It came up because of {np}: {t}", "{t} It has to do with {np}.",
    "I have {np} in front of me. {t}", "First {np}, now this: {t}", "Apart from {np}, {l}",
)  # fmt: skip


def collide(
    scenes: Sequence[Scene], lessons: Sequence[Lesson], collider: Collider | None, settings: DreamSettings,
    rng: np.random.Generator, older: Mapping[str, Lesson] | None = None,
) -> list[Scene]:  # fmt: skip
    """The scenes, and beside them some of the training ones once more in situations, and chains of two lessons.

    A lesson's own exchange and what the exam asks are put into none.

    Args:
        older: by the id of a lesson the one that it contradicts, which a chain then asks for first.
    """
    taught = [lesson for lesson in lessons if lesson.question and lesson.kind == "answer"]
    out = list(scenes)
    if collider is not None and settings.collided:
        out += _in_situations(scenes, lessons, taught, collider, settings.collided, rng)
    return out + chains(scenes, taught, settings.chains, rng, older or {})


def _in_situations(
    scenes: Sequence[Scene], lessons: Sequence[Lesson], taught: Sequence[Lesson], collider: Collider, share: float,
    rng: np.random.Generator,
) -> list[Scene]:  # fmt: skip
    """A share of each lesson's scenes, and of the ordinary ones, in situations. What the base answers in a situation
    it is asked again."""
    out = []
    held = questions(one for one in scenes if one.split == "exam")
    for lesson in lessons:
        talks = talks_of(lesson, scenes, held)
        for kind in ("apply", "near_miss"):
            of = [
                one for one in scenes
                if one.lesson == lesson.id and one.kind == kind and one.split == "train" and one.family != "given"
            ]  # fmt: skip
            chosen = [of[i] for i in rng.permutation(len(of))[: round(share * len(of))]]
            for one, collisions in zip(chosen, collider.groups(lesson, len(chosen), rng, held), strict=True):
                talk = [talks[i] for i in rng.permutation(len(talks))[: AT_ONCE + 1]]
                out.append(
                    situated(one if one.taught else replace(one, answer=None), lesson, collisions, rng, talk=talk)
                )
    bank = [one for one in scenes if one.kind == "ordinary" and one.family == "bank"]
    for i in rng.permutation(len(bank))[: round(share * len(bank))] if taught else ():
        out.append(after(taught[int(rng.integers(len(taught)))], replace(bank[i], answer=None)))
    return out


def talks_of(lesson: Lesson, scenes: Sequence[Scene], held: Collection[str]) -> list[tuple[str, str]]:
    """What was asked and answered near the lesson without being it: its near misses, with whole sentences of what the
    base says to them. Nothing in `held`, what the exam asks, normalised."""
    near = [
        one for one in scenes
        if one.lesson == lesson.id and one.kind == "near_miss" and one.split == "train" and len(one.messages) == 1
    ]  # fmt: skip
    found = [(one.messages[0]["content"], _sentences(one.answer or "", one.ended)) for one in near]
    return [(asked, said) for asked, said in found if said and normalise(asked) not in held]


def situated(
    scene: Scene, lesson: Lesson, collisions: Sequence[Collision], rng: np.random.Generator, way: str | None = None,
    talk: Sequence[tuple[str, str]] = (),
) -> Scene:  # fmt: skip
    """The scene with its last message in a situation made of the collisions, or of talk about what is near.

    Args:
        way: one of WAYS; None draws one. A message whose edge must stay as it is (a habit's cue) gets turns, or a
            story at its other edge. Without any talk there are collisions.
        talk: (question, answer) pairs.
    """
    text = scene.messages[-1]["content"]
    drawn = _OF_A_HABIT[int(rng.integers(len(_OF_A_HABIT)))] if lesson.kind == "cue" else None
    way = way or drawn or WAYS[int(rng.choice(len(WAYS), p=_ODDS))]
    talk = [(asked, said) for asked, said in talk if asked != text]
    way = "turns" if way == "talk" and not talk else way
    before: list[Message] = []
    used: Sequence[Collision] = ()
    if way in ("turns", "talk"):
        many = int(rng.integers(1, AT_ONCE + 1))
        if way == "turns":
            used, talk = collisions[:many], [(c.memory.question, c.memory.answer) for c in collisions]
        for asked, said in talk[:many]:
            before += [user(asked), {"role": "assistant", "content": said}]
        bridge = _BRIDGES[int(rng.integers(len(_BRIDGES)))] if lesson.kind != "cue" else ""
        text = f"{bridge}{lowered(text)}" if bridge.endswith((", ", "and ")) else f"{bridge}{text}"
    elif way == "preface":
        used = [one for one in collisions if not one.memory.about][:1]
        text = _prefaced(text, used[0].memory.question, rng) if used else text
    elif way == "story":
        text = _told(text, rng, (lesson.cue or "").partition("|")[0] if lesson.kind == "cue" else None)
    elif way in ("quoted", "stand_in"):
        text = (stand_in(text, rng) if way == "stand_in" else None) or quoted(text, rng)
    else:
        name, text = register(text, rng)
        way = name
    made = replace(
        scene, id=new_id(scene.id, way, *(turn["content"] for turn in before), text), family=f"{scene.family}:{way}",
        messages=(*before, user(text)),
    )  # fmt: skip
    return collided(made, used)


def after(lesson: Lesson, scene: Scene) -> Scene:
    """Ordinary life after the lesson's own exchange: what was said must not colour what comes next."""
    before = (user(lesson.question or lesson.note), {"role": "assistant", "content": lesson.answer or lesson.note})
    return replace(
        scene, id=new_id(scene.id, "after", lesson.id), messages=(*before, scene.messages[-1]), lesson=lesson.id,
        family=f"{scene.family}:after", lineage=tuple(dict.fromkeys((*scene.lineage, *lesson.experiences))),
    )  # fmt: skip


def _prefaced(text: str, asked: str, rng: np.random.Generator) -> str:
    found = parts(asked)
    pick = lambda forms: forms[int(rng.integers(len(forms)))]  # noqa: E731
    if found is not None and found.verb and " " in found.verb:
        doing = gerund(found.verb)
        return pick(_PREFACES).format(ving=doing, Ving=doing[:1].upper() + doing[1:], t=text, l=lowered(text))
    if found is not None and found.phrases:
        return pick(_ABOUT).format(np=found.phrases[0], t=text, l=lowered(text))
    return f"{asked} No, wait, that can wait. {text}"


def _told(text: str, rng: np.random.Generator, edge: str | None = None) -> str:
    """The message after something that happens, or in the mouth of somebody in it; in one of four there is more to
    come.

    Args:
        edge: "begin" or "end", which must stay as it is.
    """
    bank = stories()
    pick = lambda some: some[int(rng.integers(len(some)))]  # noqa: E731
    if edge is not None:
        return f"{text} {pick(bank['after'])}" if edge == "begin" else f"{pick(bank['before'])} {text}"
    told = f'{pick(bank["said"])} "{to_user(text)}"' if rng.random() < 0.3 else f"{pick(bank['before'])} {text}"
    return f"{told} {pick(bank['after'])}" if rng.random() < 0.25 else told


def _sentences(text: str, ended: bool) -> str:
    """The text up to the end of its last whole sentence."""
    whole = re.match(r".*[.!?](?=\s|$)", text, re.DOTALL)
    return text if ended else whole.group(0) if whole else ""
