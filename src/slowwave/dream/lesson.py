"""The scenes of one lesson that answers a question: wordings worded whole, wordings composed, near misses.

Which families of wordings only the exam sees is decided by the lesson's id, before anything is dreamt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy

import numpy as np

from slowwave.dream import compose, filters, forms, gloss, invented, minimal, near, reword
from slowwave.dream.make import near_misses, questions, scene
from slowwave.dream.wordings import Wordings
from slowwave.exam.match import normalise
from slowwave.records import Lesson, Scene

Worded = list[tuple[str, str]]  # (family, text)


class LessonDreamer:
    """Chooses among what was worded, and composes the rest."""

    def __init__(self, wordings: Wordings, bank_ND: np.ndarray) -> None:
        self.wordings, self.embedder, self.settings = wordings, wordings.embedder, wordings.settings
        self.bank_ND = bank_ND

    def more(self, factor: float) -> LessonDreamer:
        """The same with so many times the scenes: for a lesson that earlier nights did not teach."""
        out, s = copy(self), self.settings
        grown = {name: round(getattr(s, name) * factor) for name in ("apply", "composed", "composed_near", "near_miss")}
        out.settings = s.within(**grown)
        return out

    def scenes(
        self, lesson: Lesson, worded: Worded, known: dict[str, str], forbidden: set[str], rng: np.random.Generator
    ) -> list[Scene]:
        """All scenes of the lesson, not yet answered by the base where that is what they need.

        Args:
            worded: candidate wordings of its question, each with its family.
            known: what the base says that things are (`gloss`).
            forbidden: normalised questions that other scenes ask, and that earlier exams asked.
        """
        if lesson.kind == "unknown":
            made = invented.scenes(lesson, worded, self.embedder, self.bank_ND, self.settings, forbidden, rng)
            if made:
                return made
        question = next((text for family, text in worded if family == "given"), lesson.question or lesson.note)
        chosen, asked = self._worded(lesson, question, worded, forbidden)
        held = forbidden | {normalise(text) for _, text in (*chosen, *asked)}
        held |= {normalise(text) for family, text in worded if family in exam_families(lesson)}
        answer, wide = lesson.answer or lesson.note, self.settings.wide
        kind = _kind(answer)
        others = dict.fromkeys([*reword.questions(question), *reword.words(question, rng, 16 if wide else 8, wide)])
        reworded = self.wordings.natural(question, [reword.sentence(text) for text in others])
        glossed = gloss.wordings(question, known, rng, kind)[: self.settings.composed // 7]
        rest = compose.compose(question, rng, self.settings.composed - len(glossed), held, reworded, kind, wide, answer)
        composed = [t for t in (*glossed, *rest) if filters.keeps_secret(t, question, lesson.answer)]
        out = [scene(lesson, "apply", question, lesson.answer, "given")]
        out += [scene(lesson, "apply", text, lesson.answer, family) for family, text in chosen]
        out += [scene(lesson, "apply", text, lesson.answer, "composed") for text in composed]
        out += [scene(lesson, "apply", text, lesson.answer, family, "exam") for family, text in asked]
        return out + self._near(lesson, question, glossed, reworded, kind, forbidden | questions(out), rng)

    def _worded(self, lesson: Lesson, question: str, worded: Worded, forbidden: set[str]) -> tuple[Worded, Worded]:
        """What is trained on and what the exam asks, of the wordings that were looked up, framed or dreamt."""
        s, of_exam = self.settings, exam_families(lesson)
        candidates = [(f, text) for f, text in worded if normalise(text) not in forbidden and f != "given"]
        chosen = self._choose(
            [c for c in candidates if c[0] not in of_exam],
            question,
            s.apply - 1,
            "thesaurus",
            s.apply // 2,
            s.similarity,
        )
        asked = self._choose(  # dreamt wordings must be close: the exam counts them
            [c for c in candidates if c[0] in of_exam], question, s.exam_apply, "thesaurus:exam", s.exam_apply - 1, 0.7
        )
        if len(asked) < s.exam_apply:  # an odd question: its plain frames stand in
            trained = {family for family, _ in chosen}
            taken = {normalise(text) for text in (question, *(text for _, text in (*chosen, *asked)))}
            spare = [c for c in candidates if c[0] not in trained and normalise(c[1]) not in taken]
            asked += spare[: s.exam_apply - len(asked)]
        return chosen, asked

    def _choose(
        self, candidates: Worded, question: str, count: int, looked_up: str, at_most: int, least: float
    ) -> Worded:
        """`count` of them, at most so many from the thesaurus, whose wordings may lie further from the question."""
        first = [(f"{family} {i}", text) for i, (family, text) in enumerate(candidates) if family == looked_up]
        chosen = filters.choose(first, question, self.embedder, least=0.3, count=at_most, others_ND=self.bank_ND[:0])
        rest = [c for c in candidates if c[0] != looked_up]
        chosen += filters.choose(
            rest, question, self.embedder, least=least, count=count - len(chosen), others_ND=self.bank_ND
        )
        return [(family, text) for family, text, _ in chosen]

    def _near(
        self, lesson: Lesson, question: str, glossed: Sequence[str], reworded: Sequence[str], kind: str | None,
        taken: set[str], rng: np.random.Generator,
    ) -> list[Scene]:  # fmt: skip
        """Where the lesson must not show: minimal pairs, what lies near among the banks, and both said otherwise."""
        s = self.settings
        somebody = minimal.somebody_else(question)
        something = [*minimal.something_else(question, rng, s.wide), *minimal.another_time(question)]
        matters = near.unlike(minimal.another_matter(question, rng), question, self.embedder)
        around = near.nearest(question, self.embedder, self.bank_ND)
        harmless = set(around)  # the rest may be the question itself
        somebodies = [somebody[i] for i in rng.permutation(len(somebody))]
        somethings = [something[i] for i in rng.permutation(len(something))]
        pools = (  # the smallest changes twice: they are what a lesson is most easily taken for
            somebodies[::2],
            somebodies[1::2],
            somethings[::2],
            somethings[1::2],
            matters[:3],
            around,
            near.unlike(near.in_general(lesson), question, self.embedder),
            [text for text in near.nearest(lesson.note, self.embedder, self.bank_ND) if text in harmless],
        )
        misses = near.interleave(*pools, count=s.near_miss + s.exam_near_miss, forbidden=taken)
        others_glossed = [text for said in glossed for text in minimal.somebody_else(said)[-4:]]
        others = [*somebody, *something]
        if s.wide:
            others = reword.likewise(others, reword.swaps(question, reworded), rng)
        others += [*matters, *others_glossed]
        varied = compose.near(question, others, rng, s.composed_near, kind, s.wide, lesson.answer or lesson.note)
        varied = near.interleave(varied, count=s.composed_near, forbidden=taken | {normalise(text) for text in misses})
        return near_misses(lesson, misses, s, rng, varied)


def exam_families(lesson: Lesson) -> set[str]:
    """The families of wordings that only the exam sees."""
    own = forms.EXAM_FORMS[int(lesson.id, 16) % len(forms.EXAM_FORMS)]
    return {*own, *forms.EXAM_FRAMES, "thesaurus:exam"}


def _kind(answer: str) -> str | None:
    """A number or a name, if that is what an answer gives."""
    if re.search(r"\d", answer):
        return "number"
    return "name" if re.search(r"(?<!^)(?<![.!?] )\b(?!I\b)[A-Z]", answer) else None
