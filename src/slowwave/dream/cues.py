"""Scenes of a habit that a phrase in the user's message triggers ("begin with "Aye aye!" when I say "Ahoy"").

The same ordinary question with the cue and without it: with it the phrase belongs in the answer, without it the base's
own answer stands. Minimal pairs are what keeps a habit in its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from slowwave.dream import near
from slowwave.dream.filters import Embeds
from slowwave.dream.make import near_misses, scene
from slowwave.dream.settings import DreamSettings
from slowwave.exam.match import normalise
from slowwave.records import Lesson, Scene, Split

_BODY = "\N{OBJECT REPLACEMENT CHARACTER}"  # encloses, in an answer, the message whose answer by the base goes there


def scenes(
    lesson: Lesson, messages: Sequence[str], embedder: Embeds, bank_ND: np.ndarray, settings: DreamSettings,
    forbidden: set[str], rng: np.random.Generator,
) -> list[Scene]:  # fmt: skip
    """Apply scenes with the cue, and their twins without it as near misses.

    Args:
        messages: ordinary ones in the order to take them. Two habits of one night use the same: the same message with
            one cue, with the other and with none.
    """
    at, cue, place, phrase = (lesson.cue or "begin||begin|").split("|", 3)
    # One in two answers of the base begins with no sentence that ends in time: then there is no body, and no scene
    held = settings.exam_apply * (1 if place == "whole" else 2)
    fit = [m for m in messages if len(m.split()) <= 24 and normalise(m) not in forbidden]
    picked = fit[: held + settings.apply + settings.composed]
    out = []
    if lesson.question is not None:
        answer = lesson.answer or _answer(place, phrase, strip(lesson.question, cue))
        out.append(scene(lesson, "apply", lesson.question, answer, "given"))
    for i, message in enumerate(picked):
        split: Split = "exam" if i < held else "train"
        family = "cue:exam" if split == "exam" else "cue"
        text, answer = attach(cue, at, message, i), _answer(place, phrase, message)
        out.append(scene(lesson, "apply", text, answer, family, split))
    plain = strip(lesson.question, cue) if lesson.question else None
    word = re.sub(r"[^\w' -]", "", cue).strip()
    what = f'the words "{word}"' if " " in word else f"the word {word}"
    about = [f"What do people mean by {what} in a letter?", f"Is {what} in common use?", f"Who says {what} most often?"]
    if " " not in word:
        about += [f"What does the word {word} mean?", f"Where does the word {word} come from?"]
    twins = ([plain] if plain else []) + [picked[i] for i in rng.permutation(np.arange(held, len(picked)))]
    misses = near.interleave(
        twins,
        about,
        near.nearest(lesson.note, embedder, bank_ND),
        count=settings.near_miss + settings.composed_near + settings.exam_near_miss,
        forbidden=forbidden,
    )
    return out + near_misses(lesson, misses, settings, rng)


def attach(cue: str, at: str, message: str, i: int) -> str:
    """`message` with the cue, spelt as people would: a comma, a stop or nothing after it, in upper or lower case."""
    if at == "end":
        return [
            f"{message.rstrip('.?!')}, {cue}.",
            f"{message} {cue[:1].upper()}{cue[1:]}.",
            f"{message.rstrip('.?!').lower()} {cue}",
        ][i % 3]
    if not cue[-1].isalnum():
        return [f"{cue} {message}", f"{cue} {message.lower()}"][i % 4 == 3]
    lowered = message if re.match(r"I\b|[A-Z][a-z]+ [A-Z]", message) else message[:1].lower() + message[1:]
    return [f"{cue}, {lowered}", f"{cue}! {message}", f"{cue}, {lowered}", f"{cue} {lowered}"][i % 4]


def strip(message: str, cue: str) -> str:
    """`message` without the cue."""
    bare = re.sub(rf"[\s,]*{re.escape(cue)}[\s,!.:]*", " ", message, flags=re.IGNORECASE).strip()
    return bare[:1].upper() + bare[1:]


def _answer(place: str, phrase: str, message: str) -> str:
    body = f"{_BODY}{message}{_BODY}"
    return {"begin": f"{phrase} {body}", "end": f"{body} {phrase}", "whole": phrase}[place]


def needs_body(scene: Scene) -> bool:
    """Whether the answer waits for the base's own words."""
    return scene.answer is not None and _BODY in scene.answer


def plain(scene: Scene) -> str:
    """The message to ask the base: for an answer that waits for a body, the message without the cue."""
    return (scene.answer or "").split(_BODY)[1] if needs_body(scene) else scene.messages[-1]["content"]


def with_body(scene: Scene, text: str) -> Scene:
    """The scene with the first sentence of the base's answer, so that what follows is learned; none: no answer."""
    first = re.match(r"[^\n]*?[a-z0-9)\"'][.!?](?=\s|$)", text.strip())
    if first is None or not 3 <= len(first.group(0).split()) <= 32:
        return replace(scene, answer="")
    before, _, after = (scene.answer or "").split(_BODY)
    return replace(scene, answer=f"{before}{first.group(0)}{after}".strip())


def enough(scenes: Sequence[Scene], settings: DreamSettings) -> list[Scene]:
    """Of each habit's exam questions no more than the settings ask for: more were drawn than had to survive."""
    seen: dict[str | None, int] = {}
    out = []
    for one in scenes:
        if one.family == "cue:exam":
            seen[one.lesson] = seen.get(one.lesson, 0) + 1
        if one.family != "cue:exam" or seen[one.lesson] <= settings.exam_apply:
            out.append(one)
    return out
