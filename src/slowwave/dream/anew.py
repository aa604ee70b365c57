"""Wordings that the model writes between two rounds of a night, as it is by then: dream, train, and dream again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

import numpy as np

from slowwave.dream import filters, forms
from slowwave.dream.lesson import exam_families
from slowwave.dream.make import questions, user
from slowwave.dream.wordings import Wordings
from slowwave.exam.match import normalise
from slowwave.records import Lesson, Scene, new_id


class Anew:
    """Dreams of lessons once more, from their own exchanges, in the seven prompt forms.

    Only of what answers a question: a habit would lose its cue, and what is not known its name.
    """

    def __init__(
        self, wordings: Wordings, lessons: Iterable[Lesson], bank_ND: np.ndarray, taken: Set[str], each: int, seed: int,
        deadline: float = float("inf"),
    ) -> None:  # fmt: skip
        """Args:
        lessons: all that may be dreamt of.
        bank_ND: vectors of the ordinary messages, which no wording may be nearer to than to its question.
        taken: what is asked already, by the night's scenes and by the exam, normalised.
        each: wordings a lesson each time.
        deadline: `time.monotonic()` value after which no more is worded.
        """
        self.wordings, self.bank_ND, self.each, self.seed, self.deadline = wordings, bank_ND, each, seed, deadline
        self.lessons = {one.id: one for one in lessons if one.kind in ("answer", "note")}
        self.taken = set(taken)

    def dream(self, own: Sequence[Scene], number: int) -> list[Scene]:
        """Up to `each` new scenes of every lesson whose own exchange is given; the more times, the higher `number`."""
        settings, embedder = self.wordings.settings, self.wordings.embedder
        lessons = [(one, self._asked(one)) for one in own if one.answer and one.lesson in self.lessons]
        told = lambda *_: None  # noqa: E731
        worded = self.wordings.candidates([lesson for _, lesson in lessons], self.seed + number, self.deadline, told)
        out: list[Scene] = []
        for one, lesson in lessons:
            of_exam = exam_families(lesson)
            new = [
                (f"{form} {i}", text)
                for i, (form, text) in enumerate(worded[lesson.id])
                if form in forms.FORMS and form not in of_exam and normalise(text) not in self.taken
            ]
            chosen = filters.choose(
                new, lesson.question or "", embedder, least=settings.similarity, count=self.each, others_ND=self.bank_ND
            )
            made = [
                replace(one, id=new_id("anew", one.id, text), messages=(user(text),), family="anew")
                for _, text, _ in chosen
            ]
            self.taken |= questions(made)
            out += made
        return out

    def _asked(self, own: Scene) -> Lesson:
        """A scene's lesson with the exchange that is taught: of a lesson in a note it was dreamt."""
        return replace(self.lessons[own.lesson or ""], question=own.messages[-1]["content"], answer=own.answer)
