"""The simple dreamer: from lessons to scenes in which they apply, nearly apply, and do not.

Generate many with the model and seven fixed prompt forms, filter by embedding and rules, keep few. Which wording
families only the exam sees is decided before anything is dreamt. The memory graph of later nights fits behind `dream`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from slowwave.dream import bank, compose, cues, distil, filters, forms, gloss, invented, minimal, near, reword
from slowwave.dream.settings import DreamSettings
from slowwave.dream.wordings import Answers, Wordings
from slowwave.exam.match import normalise
from slowwave.records import Lesson, Message, Scene, SceneKind, Split, new_id


class SimpleDreamer:
    """Dreams with the base model itself: what it answers is the target of every near miss and ordinary scene."""

    def __init__(self, engine: Answers, embedder: filters.Embeds, settings: DreamSettings) -> None:
        self.engine, self.embedder, self.settings = engine, embedder, settings
        self.wordings = Wordings(engine, embedder, settings)
        self.bank_ND = embedder.embed(bank.ordinary())

    def dream(
        self, lessons: Sequence[Lesson], *, earlier: Sequence[Scene] = (), seed: int = 0,
        deadline: float = float("inf"),
        on_progress: Callable[[str, int, int], Any] | None = None,
    ) -> list[Scene]:  # fmt: skip
        """Scenes of all lessons and of ordinary life, for training and for the exam.

        Args:
            earlier: the scenes of earlier nights: their exam questions stay out of this night's training.
            deadline: `time.monotonic()` value after which no more wordings are generated; what is there is used.
            on_progress: called with (what, done, of).
        """
        rng = np.random.default_rng(seed)
        tell = on_progress or (lambda *_: None)
        forbidden = {normalise(s.messages[-1]["content"]) for s in earlier if s.split == "exam"}
        with self.engine.using(None):
            wordings = self.wordings.candidates(lessons, seed, deadline, tell)
            scenes: list[Scene] = []
            ordinary = [bank.ordinary()[i] for i in rng.permutation(len(bank.ordinary()))]
            harmless = [text for text in ordinary if text not in bank.declined()]  # no habit answers what is declined
            known = gloss.glosses(self.engine, self.embedder, [lesson for lesson in lessons if lesson.kind == "answer"])
            for lesson in lessons:
                if lesson.kind == "cue":  # habits share their messages, so what another has as near misses is free
                    apart = forbidden | _questions(s for s in scenes if s.kind == "apply" or s.split == "exam")
                    made = cues.scenes(lesson, harmless, self.embedder, self.bank_ND, self.settings, apart, rng)
                else:
                    apart = forbidden | _questions(scenes)
                    made = self._of_lesson(lesson, wordings.get(lesson.id, []), known, apart, rng)
                scenes += made
            scenes += self._ordinary(forbidden | _questions(scenes), rng)
            scenes = self._without_conflicts(scenes, lessons, earlier)
            scenes = self._answered(scenes, tell)
            scenes = distil.fill(self.engine, scenes, lessons, seed)
        exam = _questions(s for s in scenes if s.split == "exam")
        held = exam | forbidden
        return [s for s in scenes if s.split == "exam" or normalise(s.messages[-1]["content"]) not in held]

    def _without_conflicts(
        self, scenes: list[Scene], lessons: Sequence[Lesson], earlier: Sequence[Scene]
    ) -> list[Scene]:
        """Drop anchors that ask what a lesson of tonight or earlier answers: they would hold the old answer."""
        asked = [lesson.question for lesson in lessons if lesson.question and lesson.kind == "answer"]
        asked += [s.messages[-1]["content"] for s in earlier if s.family == "given"]
        anchors = [i for i, s in enumerate(scenes) if s.kind != "apply"]
        if not asked or not anchors:
            return scenes
        texts = [scenes[i].messages[-1]["content"] for i in anchors]
        similarity_AQ = self.embedder.embed(texts) @ self.embedder.embed(asked).T
        drop = set()
        for row, i in enumerate(anchors):
            theirs = [
                question
                for question, value in zip(asked, similarity_AQ[row], strict=True)
                if value > (0.9 if scenes[i].family == "near" else 0.7)
            ]
            if theirs or normalise(texts[row]) in {normalise(question) for question in asked}:
                drop.add(i)
        return [s for i, s in enumerate(scenes) if i not in drop]

    def _of_lesson(
        self, lesson: Lesson, wordings: list[tuple[str, str]], known: dict[str, str], forbidden: set[str],
        rng: np.random.Generator,
    ) -> list[Scene]:  # fmt: skip
        s = self.settings
        if lesson.kind == "unknown":
            made = invented.scenes(lesson, wordings, self.embedder, self.bank_ND, s, forbidden, rng)
            if made:
                return made
        question = next((text for family, text in wordings if family == "given"), lesson.question or lesson.note)
        exam_families = (
            set(forms.EXAM_FORMS[int(lesson.id, 16) % len(forms.EXAM_FORMS)]) | forms.EXAM_FRAMES | {"thesaurus:exam"}
        )
        candidates = [
            (family, text) for family, text in wordings if normalise(text) not in forbidden and family != "given"
        ]
        train = [c for c in candidates if c[0] not in exam_families]
        exam = [c for c in candidates if c[0] in exam_families]
        looked_up = [(f"thesaurus {i}", text) for i, (family, text) in enumerate(train) if family == "thesaurus"]
        chosen = filters.choose(
            looked_up, question, self.embedder, least=0.3, count=s.apply // 2, others_ND=self.bank_ND[:0]
        )
        rest = [c for c in train if c[0] != "thesaurus"]
        chosen += filters.choose(
            rest, question, self.embedder, least=s.similarity, count=s.apply - 1 - len(chosen), others_ND=self.bank_ND
        )
        looked_up = [(f"{family} {i}", text) for i, (family, text) in enumerate(exam) if family == "thesaurus:exam"]
        asked = filters.choose(
            looked_up, question, self.embedder, least=0.3, count=s.exam_apply - 1, others_ND=self.bank_ND[:0]
        )
        rest = [c for c in exam if c[0] != "thesaurus:exam"]  # dreamt wordings must be close: the exam counts them
        asked += filters.choose(
            rest, question, self.embedder, least=0.7, count=s.exam_apply - len(asked), others_ND=self.bank_ND
        )
        if len(asked) < s.exam_apply:  # an odd question: its plain frames stand in
            trained = {family for family, _, _ in chosen}
            taken = {normalise(text) for text in (question, *(text for _, text, _ in (*chosen, *asked)))}
            spare = [c for c in candidates if c[0] not in trained and normalise(c[1]) not in taken]
            asked += [(family, text, 1.0) for family, text in spare[: s.exam_apply - len(asked)]]
        held = forbidden | {normalise(text) for _, text, _ in (*chosen, *asked)}
        held |= {normalise(text) for family, text in wordings if family in exam_families}
        others = dict.fromkeys([*reword.questions(question), *reword.words(question, rng, 8)])
        kind = _kind(lesson.answer or lesson.note)
        reworded = self.wordings.natural(question, [reword.sentence(text) for text in others])
        glossed = gloss.wordings(question, known, rng, kind)[: s.composed // 7]
        composed = [
            text
            for text in (*glossed, *compose.compose(question, rng, s.composed - len(glossed), held, reworded, kind))
            if filters.keeps_secret(text, question, lesson.answer)
        ]
        out = [scene(lesson, "apply", question, lesson.answer, "given")]
        out += [scene(lesson, "apply", text, lesson.answer, family) for family, text, _ in chosen]
        out += [scene(lesson, "apply", text, lesson.answer, "composed") for text in composed]
        out += [scene(lesson, "apply", text, lesson.answer, family, "exam") for family, text, _ in asked]
        taken = forbidden | _questions(out)
        somebody = minimal.somebody_else(question)
        something = [*minimal.something_else(question, rng), *minimal.another_time(question)]
        matters = minimal.another_matter(question, rng)
        pools = (
            [somebody[i] for i in rng.permutation(len(somebody))],
            [something[i] for i in rng.permutation(len(something))],
            matters[:3],
            near.nearest(question, self.embedder, self.bank_ND),
            near.in_general(lesson),
            near.nearest(lesson.note, self.embedder, self.bank_ND),
        )
        others_glossed = [text for said in glossed for text in minimal.somebody_else(said)[-4:]]
        misses = near.interleave(*pools, count=s.near_miss + s.exam_near_miss, forbidden=taken)
        varied = compose.near(question, [*somebody, *something, *matters, *others_glossed], rng, s.composed_near, kind)
        varied = near.interleave(varied, count=s.composed_near, forbidden=taken | {normalise(text) for text in misses})
        return out + near_misses(lesson, misses, s, rng, varied)

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

    def _answered(self, scenes: list[Scene], tell: Callable[..., Any]) -> list[Scene]:
        """The base's own answers where the target is to stay as it is, and bodies for the answers to cues."""
        open_ = [i for i, s in enumerate(scenes) if s.answer is None or cues.needs_body(s)]
        lengths: dict[str, int] = {}  # tokens by question
        for i in open_:
            text = cues.plain(scenes[i])
            lengths[text] = max(lengths.get(text, 0), self._length(scenes[i]))
        questions = sorted(lengths, key=lambda text: lengths[text])
        replies: dict[str, Any] = {}
        rows = self.engine.rows
        for first in range(0, len(questions), rows):
            part = questions[first : first + rows]
            tokens = lengths[part[-1]]
            for text, row in zip(
                part,
                self.engine.generate([[user(text)] for text in part], max_new_tokens=tokens, batch=rows),
                strict=True,
            ):
                replies[text] = row[0]
            tell("asking the base", min(first + rows, len(questions)), len(questions))
        out = list(scenes)
        for i in open_:
            reply = replies[cues.plain(scenes[i])]
            if cues.needs_body(scenes[i]):
                out[i] = cues.with_body(scenes[i], reply.text)
            elif scenes[i].kind != "apply":
                out[i] = replace(scenes[i], answer=reply.text, ended=reply.finish == "stop")
                if lengths[cues.plain(scenes[i])] > self._length(scenes[i]):
                    out[i] = _shortened(out[i], self._length(scenes[i]))
        return cues.enough([s for s in out if s.answer or (s.kind == "apply" and s.answer is None)], self.settings)

    def _length(self, scene: Scene) -> int:
        """Tokens of the base's answer. A lesson that fires where it must not does so in the first of them."""
        s = self.settings
        if cues.needs_body(scene):
            return s.answer_tokens * 3 // 2  # must reach a sentence's end
        return s.near_tokens if scene.kind == "near_miss" and scene.split == "train" else s.answer_tokens


def _kind(answer: str) -> str | None:
    """A number or a name, if that is what an answer gives."""
    if re.search(r"\d", answer):
        return "number"
    return "name" if re.search(r"(?<!^)(?<![.!?] )\b(?!I\b)[A-Z]", answer) else None


def _shortened(scene: Scene, tokens: int) -> Scene:
    """The scene with so much of its answer as `tokens` hold, two words in three."""
    answer = scene.answer or ""
    head = re.match(rf"(?:\S+\s+){{0,{max(1, tokens * 2 // 3) - 1}}}\S+", answer)
    return scene if head is None or head.group(0) == answer else replace(scene, answer=head.group(0), ended=False)


def user(text: str) -> Message:
    """A user's message."""
    return {"role": "user", "content": text}


def scene(
    lesson: Lesson | None, kind: SceneKind, text: str, answer: str | None, family: str, split: Split = "train"
) -> Scene:
    """One scene of one user message."""
    return Scene(
        id=new_id("scene", lesson.id if lesson else None, kind, text), lesson=lesson.id if lesson else None,
        kind=kind, messages=(user(text),), answer=answer,
        family=family, split=split, weight=lesson.salience if lesson and kind == "apply" else 1.0,
        check=lesson.check if lesson and kind == "apply" else distil.NO_CHECK,
        authority=lesson.authority if lesson else "assistant", lineage=lesson.experiences if lesson else (),
    )  # fmt: skip


def near_misses(
    lesson: Lesson, texts: Sequence[str], settings: DreamSettings, rng: np.random.Generator, varied: Sequence[str] = ()
) -> list[Scene]:
    """Near-miss scenes; a random share of the texts is the exam's, and of the varied ones none."""
    order = rng.permutation(len(texts))
    exam = {int(i) for i in order[: settings.exam_near_miss]}
    return [
        scene(lesson, "near_miss", text, None, "near", "exam" if i in exam else "train")
        for i, text in enumerate([*texts, *varied])
    ]


def _questions(scenes: Any) -> set[str]:
    return {normalise(s.messages[-1]["content"]) for s in scenes}
