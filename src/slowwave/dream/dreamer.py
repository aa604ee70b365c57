"""The dreamer: from lessons to scenes in which they apply, nearly apply, and do not.

Generate many with the model, with seven fixed prompt forms and by composing, filter by embedding and rules, keep few;
then collide some of them with other memories that a walk over the memory graph comes to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from slowwave.dream import bank, cues, distil, filters, gloss, near, situations
from slowwave.dream.answered import answered
from slowwave.dream.lesson import LessonDreamer
from slowwave.dream.make import questions, scene
from slowwave.dream.sense import sensible
from slowwave.dream.settings import DreamSettings
from slowwave.dream.wordings import Answers, Wordings
from slowwave.dream.writer import Writes
from slowwave.dream.written import written
from slowwave.exam.match import normalise
from slowwave.records import Lesson, Scene

if TYPE_CHECKING:
    from slowwave.dream.collide import Collider
    from slowwave.dream.judge import Judge
    from slowwave.dream.rubric import Rubric


class Dreamer:
    """Dreams for the base model: what that answers is the target of every near miss and ordinary scene."""

    def __init__(
        self, engine: Answers, embedder: filters.Embeds, settings: DreamSettings, judge: Judge | None = None,
        collider: Collider | None = None, writer: Writes | None = None, rubric: Rubric | None = None,
    ) -> None:  # fmt: skip
        """Args:
        collider: finds the memories to collide lessons with; None dreams of each lesson alone.
        writer: who writes wordings and situations; None is the base itself.
        rubric: who refuses wordings that rules and vectors let pass; None refuses none.
        """
        self.engine, self.embedder, self.settings, self.judge = engine, embedder, settings, judge
        self.collider, self.writer, self.rubric = collider, writer or engine, rubric
        self.bank_ND = embedder.embed(bank.ordinary())
        self.wordings = Wordings(engine, embedder, settings, self.writer)
        self.lessons = LessonDreamer(self.wordings, self.bank_ND)

    def dream(
        self, lessons: Sequence[Lesson], *, earlier: Sequence[Scene] = (), more: Mapping[str, float] | None = None,
        older: Mapping[str, Lesson] | None = None, seed: int = 0, deadline: float = float("inf"),
        on_progress: Callable[[str, int, int], Any] | None = None,
    ) -> list[Scene]:  # fmt: skip
        """Scenes of all lessons and of ordinary life, for training and for the exam.

        Args:
            earlier: the scenes of earlier nights: their exam questions stay out of this night's training.
            more: so many times the scenes of the lessons with these ids.
            older: by the id of a lesson the one that it contradicts.
            deadline: `time.monotonic()` value after which no more wordings are generated; what is there is used.
            on_progress: called with (what, done, of).
        """
        rng = np.random.default_rng(seed)
        tell = on_progress or (lambda *_: None)
        forbidden = questions(s for s in earlier if s.split == "exam")
        with self.engine.using(None):
            worded = self.wordings.candidates(lessons, seed, deadline, tell)
            scenes: list[Scene] = []
            ordinary = [bank.ordinary()[i] for i in rng.permutation(len(bank.ordinary()))]
            harmless = [text for text in ordinary if text not in bank.declined()]  # no habit answers what is declined
            known = gloss.glosses(self.engine, self.embedder, [lesson for lesson in lessons if lesson.kind == "answer"])
            for lesson in lessons:
                of = self.lessons.more((more or {}).get(lesson.id, 1))
                if lesson.kind == "cue":  # habits share their messages, so what another has as near misses is free
                    apart = forbidden | questions(s for s in scenes if s.taught or s.split == "exam")
                    scenes += cues.scenes(lesson, harmless, self.embedder, self.bank_ND, of.settings, apart, rng)
                else:
                    apart = forbidden | questions(scenes)
                    scenes += of.scenes(lesson, worded.get(lesson.id, []), known, apart, rng)
            if self.settings.written:
                scenes += written(
                    self.writer, lessons, self.collider, self.embedder, self.settings, seed, rng, tell, deadline
                )
            scenes += self._ordinary(forbidden | questions(scenes), rng)
            scenes = self._without_conflicts(scenes, lessons, earlier)
            if self.rubric is not None:  # before situations, which say on purpose who else asks
                scenes = self.rubric.kept(scenes, lessons)
            if self.collider is not None and self.settings.collided:  # what is said to near misses goes before others
                scenes = answered(self.engine, scenes, self.settings, tell)
            scenes = situations.collide(scenes, lessons, self.collider, self.settings, rng, older or {})
            scenes = bounded(once(scenes), self.settings.max_scenes)
            scenes = answered(self.engine, scenes, self.settings, tell)
            scenes = distil.fill(self.engine, scenes, lessons, seed, judge=self.judge)
            if self.settings.sensible < 1:
                scenes = sensible(self.engine, self.embedder, scenes, lessons, self.settings.sensible)
        held = forbidden | questions(s for s in scenes if s.split == "exam")
        return [s for s in scenes if s.split == "exam" or normalise(s.messages[-1]["content"]) not in held]

    def _without_conflicts(
        self, scenes: list[Scene], lessons: Sequence[Lesson], earlier: Sequence[Scene]
    ) -> list[Scene]:
        """Drop anchors that ask what a lesson of tonight or earlier answers: they would hold the old answer.

        Near misses were held against their own lesson's question when they were made, where the smallest changes may be
        as near as they are.
        """
        of = [(lesson.id, lesson.question) for lesson in lessons if lesson.question and lesson.kind == "answer"]
        of += [(s.lesson or "", s.messages[-1]["content"]) for s in earlier if s.family == "given"]
        asked = [question for _, question in of]
        anchors = [i for i, s in enumerate(scenes) if not s.taught]
        if not asked or not anchors:
            return scenes
        texts = [scenes[i].messages[-1]["content"] for i in anchors]
        similarity_AN = self.embedder.embed(texts) @ self.embedder.embed(asked).T
        own_AN = np.array([[scenes[i].lesson == lesson for lesson, _ in of] for i in anchors])
        nearest_A = np.where(own_AN, 0.0, similarity_AN).max(axis=1)
        same = {normalise(question) for question in asked}
        drop = {
            i
            for i, text, similarity in zip(anchors, texts, nearest_A, strict=True)
            if similarity > (near.SAME if scenes[i].family == "near" else 0.7) or normalise(text) in same
        }
        return [s for i, s in enumerate(scenes) if i not in drop]

    def _ordinary(self, forbidden: set[str], rng: np.random.Generator) -> list[Scene]:
        drawn = lambda texts: [texts[i] for i in rng.permutation(len(texts))]  # noqa: E731
        watched, count = self.settings.watch, self.settings.ordinary + self.settings.watch
        careful = drawn(bank.declined())[: self.settings.ordinary // 6]  # what is declined must stay declined
        texts = drawn(near.interleave(careful, drawn(bank.ordinary()), count=count, forbidden=forbidden))
        out = [scene(None, "ordinary", text, None, "watch" if i < watched else "bank") for i, text in enumerate(texts)]
        passages = [bank.prose()[i] for i in rng.permutation(len(bank.prose()))[: self.settings.prose]]
        return out + [
            scene(None, "ordinary", f"Continue this text: {opening}", rest, "prose") for opening, rest in passages
        ]


def once(scenes: Sequence[Scene]) -> list[Scene]:
    """No input is dreamt twice in a night: of a lesson's scenes that say the same, letter by letter, the first.

    What is taught as one lesson is taught as no later one, however it is typed; a lesson's own exchange goes before
    another's wordings. For one lesson an input that is typed without capitals is another.
    """
    taught = lambda one: one.taught and one.split == "train"  # noqa: E731
    of: dict[tuple[str, ...], str | None] = {}
    for one in sorted(filter(taught, scenes), key=lambda one: one.family != "given"):
        of.setdefault(_words(one), one.lesson)
    found: dict[tuple[object, ...], Scene] = {}
    for one in scenes:
        said = tuple((message["role"], message["content"]) for message in one.messages)
        if not taught(one) or of[_words(one)] == one.lesson:
            found.setdefault((one.lesson, one.split, said), one)
    return list(found.values())


def _words(scene: Scene) -> tuple[str, ...]:
    return tuple(normalise(message["content"]) for message in scene.messages)


def bounded(scenes: Sequence[Scene], most: int) -> list[Scene]:
    """At most `most` training scenes in which lessons apply (0: all), alike of each lesson, its own exchange first."""
    taught: dict[str | None, list[int]] = {}
    for at, one in sorted(enumerate(scenes), key=lambda row: row[1].family != "given"):
        if one.taught and one.split == "train":
            taught.setdefault(one.lesson, []).append(at)
    if not most or sum(map(len, taught.values())) <= most:
        return list(scenes)
    ranked = sorted((rank, at) for mine in taught.values() for rank, at in enumerate(mine))
    dropped = {at for _, at in ranked[most:]}
    return [one for at, one in enumerate(scenes) if at not in dropped]
