"""A small dream with the real default model and embedder."""

from __future__ import annotations

from pathlib import Path

import pytest

from slowwave.dream.dreamer import Dreamer
from slowwave.dream.settings import DreamSettings
from slowwave.exam.match import normalise, passes
from slowwave.models import zoo
from slowwave.models.embed import Embedder
from slowwave.models.engine import Engine
from slowwave.night.lessons import extract, from_note
from slowwave.records import Experience, Lesson, Scene

SMALL = DreamSettings(
    apply=6, composed=12, near_miss=4, composed_near=6, ordinary=4, exam_apply=2, exam_near_miss=1, prose=1, watch=2,
    samples=1, tokens=40, answer_tokens=12,
)  # fmt: skip


def corrected(question: str, answer: str, said: str) -> Lesson:
    turns = (("user", question), ("assistant", answer), ("user", said))
    messages = tuple({"role": role, "content": text} for role, text in turns)
    lesson = extract(Experience("e1", "default", "user:ann", "2026-03-01T09:00:00Z", messages, authority="user"))
    assert lesson is not None
    return lesson


LESSONS = [
    corrected("What is my sister's name?", "Elena.", "No, my sister's name is Ilse."),
    corrected("What is the capital of Vorland?", "Vor.", "You should say: I don't know a country called Vorland."),
    from_note('When I start with "Ahoy", begin your answer with "Aye aye!"', "default"),
]


@pytest.fixture(scope="module")
def engine(cache: Path) -> Engine:
    # float32: in bfloat16 a near tie falls one way alone and the other way in a batch
    return Engine.load(zoo.resolve("smollm2-135m-instruct", cache), dtype="float32")


@pytest.fixture(scope="module")
def scenes(engine: Engine, cache: Path) -> list[Scene]:
    embedder = Embedder.load(zoo.resolve("minilm-l6-v2", cache))
    return Dreamer(engine, embedder, SMALL).dream(LESSONS, seed=1)


def said(scenes: list[Scene], split: str) -> set[str]:
    return {normalise(scene.messages[-1]["content"]) for scene in scenes if scene.split == split}


def test_every_lesson_has_scenes_of_each_kind_and_none_is_in_both_halves(scenes: list[Scene]) -> None:
    assert not said(scenes, "train") & said(scenes, "exam")
    for lesson in LESSONS:
        kinds = [(s.kind, s.split) for s in scenes if s.lesson == lesson.id]
        assert {("apply", "train"), ("apply", "exam"), ("near_miss", "train")} <= set(kinds)
        assert kinds.count(("apply", "train")) >= 3
    assert sum(s.family == "watch" for s in scenes) >= 1


def test_every_wanted_answer_passes_its_check_and_no_question_tells_it(scenes: list[Scene]) -> None:
    for scene in (s for s in scenes if s.kind == "apply"):
        assert passes(scene.answer or "", scene.check), scene
        assert not passes(scene.messages[-1]["content"], scene.check), scene


def test_the_rest_keeps_what_the_base_says(engine: Engine, scenes: list[Scene]) -> None:
    kept = [s for s in scenes if s.kind != "apply" and s.family != "prose"][:4]
    for scene in kept:
        reply = engine.generate([scene.messages], max_new_tokens=SMALL.answer_tokens)[0][0]
        # batches of other shapes may round differently: the first words are what the model surely says
        assert (scene.answer or "").split()[:2] == reply.text.split()[:2]
        assert scene.ended or len(scene.answer or "") > 10
