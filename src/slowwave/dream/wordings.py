"""Candidate wordings of a lesson's question, each with its family: the given one, plain frames, the thesaurus, and what
the model writes in seven fixed prompt forms.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from slowwave.dream import distil, filters, forms, reword
from slowwave.dream.settings import DreamSettings
from slowwave.dream.writer import Writes
from slowwave.records import Lesson, Message

# A reworded question must be close to its own (cosine) and as likely a sentence (nats a token, weighed).
_FLUENT, _NATURAL, _OF_A_FORM = 0.3, 0.5, 0.2  # a whole form fits better than a word


class Answers(Protocol):
    """What the dreamer needs of an engine."""

    rows: int  # sequences that generate together at the best speed

    def generate(self, chats: Sequence[Sequence[Message]], **options: Any) -> list[list[Any]]: ...
    def complete(self, prompts: Sequence[str], **options: Any) -> list[list[str]]: ...
    def continuation_logprob(self, pairs: Sequence[tuple[str, str]]) -> list[float]: ...
    def score(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[Any]: ...
    def using(self, adapter: str | None) -> Any: ...


class Wordings:
    """Looks up and dreams wordings; which of them are trained on is the dreamer's choice."""

    def __init__(
        self, engine: Answers, embedder: filters.Embeds, settings: DreamSettings, writer: Writes | None = None
    ) -> None:
        """Args:
        writer: who writes in the prompt forms; None is the engine.
        """
        self.engine, self.embedder, self.settings, self.writer = engine, embedder, settings, writer or engine

    def candidates(
        self, lessons: Sequence[Lesson], seed: int, deadline: float, tell: Callable[..., Any]
    ) -> dict[str, list[tuple[str, str]]]:
        """(family, wording) candidates of every lesson that has a question to reword."""
        out: dict[str, list[tuple[str, str]]] = {}
        asked = [
            (lesson, question)
            for lesson in lessons
            if (question := distil.question_of(self.engine, lesson, seed)) is not None
        ]
        jobs = [(lesson, question, form) for lesson, question in asked if lesson.kind != "cue" for form in forms.FORMS]
        for lesson, question in asked:
            out[lesson.id] = (
                [("given", question), *forms.frames(question), *self._looked_up(lesson, question, seed)]
                if lesson.kind != "cue"
                else []
            )
        rows = self.engine.rows
        group = max(1, rows // max(1, self.settings.samples))
        for first in range(0, len(jobs) if self.settings.samples else 0, group):
            if time.monotonic() > deadline:
                break
            part = jobs[first : first + group]
            texts = self.writer.complete(
                [forms.prompt(form, question) for _, question, form in part], max_new_tokens=self.settings.tokens,
                n=self.settings.samples,
                temperature=self.settings.temperature, seed=seed + first, stop=["\n\n", "Question:"], batch=rows,
            )  # fmt: skip
            for (lesson, question, form), samples in zip(part, texts, strict=True):
                kept = [
                    line
                    for text in samples
                    for line in filters.lines(text)
                    if filters.fits(line, question, lesson.answer)
                ]
                out[lesson.id] += [(form, line) for line in kept]
            tell("dreaming wordings", min(first + group, len(jobs)), len(jobs))
        return out

    def _looked_up(self, lesson: Lesson, question: str, seed: int) -> list[tuple[str, str]]:
        """Wordings from the thesaurus, every other one inside a frame."""
        rng = np.random.default_rng([seed, int(lesson.id, 16)])
        out: list[tuple[str, str]] = []
        exam = forms.EXAM_FRAMES
        reworded = reword.rewordings(question, rng, 2 * self.settings.apply, self.settings.wide)
        for i, text in enumerate(self.natural(question, reworded)):
            if i % 4 == 3:  # every fourth is the exam's, before anything is dreamt
                out.append(("thesaurus:exam", text))
                continue
            framed = [wording for family, wording in forms.frames(text) if family not in exam]
            out.append(("thesaurus", framed[int(rng.integers(len(framed)))] if i % 2 and framed else text))
        return [(family, text) for family, text in out if filters.keeps_secret(text, question, lesson.answer)]

    def natural(self, question: str, reworded: list[str]) -> list[str]:
        """Rewordings that a reader would take for the question: a word can have another sense, or another place in the
        sentence."""
        if not reworded:
            return []
        whole = {reword.sentence(text) for text in reword.questions(question)}
        close_N = self.embedder.embed(reworded) @ self.embedder.embed([question])[0]
        own, *likely = self.engine.continuation_logprob([("Q:", f" {text}") for text in (question, *reworded)])
        return [
            text
            for text, close, value in zip(reworded, close_N, likely, strict=True)
            if close + _FLUENT * (value - own) > (_OF_A_FORM if text in whole else _NATURAL)
        ]
