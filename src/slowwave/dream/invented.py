"""Scenes of "say that you don't know": the same questions about invented things, and about real ones as near misses."""

from __future__ import annotations

import re

import numpy as np

from slowwave.dream import bank, compose, filters, near
from slowwave.dream.make import near_misses, scene
from slowwave.dream.settings import DreamSettings
from slowwave.exam.match import normalise
from slowwave.records import Lesson, Scene

_NAME = re.compile(
    r"(?:called|named|by the name of)\s+(?:the |a |an )?[\"']?(.+?)[\"']?(?:[.,;!]|$)"
    r"|\"([^\"]+)\"|\b(?:any|of|about|is|such)\s+([A-Z]\w+(?: [A-Z]\w+)*)",
    re.UNICODE,
)


def name_of(lesson: Lesson) -> str | None:
    """The invented name: what the answer says is "called ...", if the question has it too; else a capitalised run."""
    question, answer = lesson.question or "", lesson.answer or ""
    for match in _NAME.finditer(answer):
        name = next(group for group in match.groups() if group)
        if name.lower() in question.lower():
            return name
    for run in re.findall(r"(?<!^)\b[A-Z][\w'-]+(?: (?:of|the|and|at|in|for) [A-Z][\w'-]+| [A-Z][\w'-]+)*", question):
        if run.lower() in answer.lower():
            return str(run)
    return None


def scenes(
    lesson: Lesson, wordings: list[tuple[str, str]], embedder: filters.Embeds, bank_ND: np.ndarray,
    settings: DreamSettings, forbidden: set[str],
    rng: np.random.Generator,
) -> list[Scene]:  # fmt: skip
    """Apply scenes over many invented names of the lesson's class, near misses over real ones; empty without a name."""
    name = name_of(lesson)
    if name is None or lesson.question is None or lesson.answer is None:
        return []
    kind = bank.class_of(
        re.sub(re.escape(name), "", lesson.answer, flags=re.IGNORECASE),
        re.sub(re.escape(name), "", lesson.question, flags=re.IGNORECASE),
        wide=settings.wide,
    )
    swap = lambda text, new: re.sub(re.escape(name), new, text, flags=re.IGNORECASE)  # noqa: E731
    own = [
        text
        for family, text in wordings
        if family != "given" and name.lower() in text.lower() and normalise(text) not in forbidden
    ]
    chosen = [
        text
        for _, text, _ in filters.choose(
            [(f"w{i}", t) for i, t in enumerate(own)],
            lesson.question,
            embedder,
            least=settings.similarity,
            count=8,
            others_ND=bank_ND,
        )
    ]
    asked = list(bank.templates(kind, settings.wide)) if kind else []
    things = (
        {which: bank.names(which)[kind] for which in ("invented", "real")} | {"forms": [form for form, _ in asked]}
        if kind
        else bank.alike(name, settings.wide)
    )
    forms, names_real = things["forms"], things["real"]
    names = [n for n in things["invented"] if n.lower() != name.lower()]
    rng.shuffle(names)
    order = [forms[i] for i in rng.permutation(len(forms))]
    if settings.wide:  # no more than there are near misses for: what is asked of invented things is asked of real ones
        order = forms = order[: max(8, (settings.near_miss + settings.composed_near) // 2)]
    known = {
        normalise(swap(text, "{x}")) for text in (lesson.question, *chosen)
    }  # what training asks, the exam may not
    held = [form for form in order if normalise(form) not in known][: settings.exam_apply]
    learnt = [form for form in order if form not in held] or order
    count = settings.apply + settings.composed
    new = iter(names * (2 + (count + settings.exam_apply) // max(1, len(names))))
    train: list[str] = []
    for i in range(count - 1):  # in turn: its own wordings, its own with another name, other questions about the class
        if i % 4 == 0 and chosen:
            train.append(chosen.pop(0))
        elif i % 4 == 1:
            train.append(swap(lesson.question if i == 1 or not chosen else chosen.pop(0), next(new)))
        else:
            train.append(learnt[i % len(learnt)].replace("{x}", name if i % 8 == 3 else next(new)))
        if i >= settings.apply:
            train[-1] = compose.vary(train[-1], rng, 0)
    out = [scene(lesson, "apply", lesson.question, lesson.answer, "given")]
    for text in dict.fromkeys(text for text in train if text != lesson.question):
        used = next((n for n in [name, *names] if n.lower() in text.lower()), name)
        out.append(scene(lesson, "apply", text, swap(lesson.answer, used), "class"))
    for i, form in enumerate(held):
        used = name if i == 0 else next(new)
        out.append(scene(lesson, "apply", form.replace("{x}", used), swap(lesson.answer, used), "class:exam", "exam"))
    out = [s for s in out if normalise(s.messages[-1]["content"]) not in forbidden]
    if kind:
        asked = [pair for pair in asked if pair[0] in forms]
        count = 2 * (settings.near_miss + settings.exam_near_miss) + settings.composed_near
        real = near.real_things(asked, names_real, rng, count)
    else:
        real = [
            forms[i % len(forms)].replace("{x}", names_real[j]) for i, j in enumerate(rng.permutation(len(names_real)))
        ]
    same = [swap(lesson.question, names_real[int(i)]) for i in rng.permutation(len(names_real))[:6]]
    misses = near.interleave(
        real,
        same,
        real,
        near.nearest(lesson.question, embedder, bank_ND),
        count=settings.near_miss + settings.exam_near_miss,
        forbidden=forbidden,
    )
    varied = [compose.vary(text, rng, 0) for text in [*real, *same]]
    varied = near.interleave(
        [varied[i] for i in rng.permutation(len(varied))], count=settings.composed_near,
        forbidden=forbidden | {normalise(text) for text in misses},
    )  # fmt: skip
    return out + near_misses(lesson, misses, settings, rng, varied)
