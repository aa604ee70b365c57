"""One version's exam: its lessons on held-out wordings, their near misses, earlier lessons, and the retention panel.

Examine the served version and the new one with the same arguments; whether the new one is promoted is the night's
business, not the exam's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from slowwave.errors import ExamError
from slowwave.exam.drift import forward_kl
from slowwave.exam.judge import decide
from slowwave.exam.panel import Panel
from slowwave.exam.probes import Answer, ask
from slowwave.exam.retention import Reference, Retention, measure
from slowwave.exam.settings import ExamSettings
from slowwave.records import Lesson, Scene, from_dict, new_id, to_dict

if TYPE_CHECKING:
    from slowwave.models.engine import Engine

PARTS = 2  # of an exam, for its progress: the questions and the retention panel


@dataclass(frozen=True)
class ExamResult:
    """Everything one version answered. Goes to JSON and back."""

    adapter: str | None  # None: the base
    answers: tuple[Answer, ...]  # to this night's `apply` and `near_miss` questions
    earlier: tuple[Answer, ...]  # to questions of earlier nights
    retention: Retention | None  # None: the answers alone had rejected the version
    panel: str  # digest: results on different panels are not compared
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready data."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ExamResult:
        """What `to_dict` gave."""
        answers = {part: tuple(from_dict(Answer, row) for row in data[part]) for part in ("answers", "earlier")}
        retention = from_dict(Retention, data["retention"]) if data["retention"] else None
        return cls(**{**data, **answers, "retention": retention})


def examine(
    engine: Engine,
    *,
    adapter: str | None,
    lessons: Sequence[Lesson],
    scenes: Sequence[Scene],
    earlier: Sequence[Scene],
    panel: Panel,
    reference: Reference,
    settings: ExamSettings,
    seed: int = 0,
    retention: Retention | None = None,
    worth: Callable[[Sequence[Answer], Sequence[Answer]], bool] = lambda own, earlier: True,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> ExamResult:
    """Let version `adapter` sit the exam.

    Args:
        lessons: this night's and the earlier ones, whose checks the scenes may lack.
        scenes, earlier: questions on this night's lessons and on earlier ones, all of the exam's split.
        seed: the night's number; draws which earlier questions are asked when there are too many.
        retention: this version's figures on this panel where an earlier exam already measured them.
        worth: told the answers to this night's questions and to earlier ones: whether the panel, which takes twice as
            long, is still worth sitting.
        progress: called after each part with how many are done, and of how many.

    Raises:
        ExamError: no question, no question that can be decided, a training scene, an empty panel, a NaN.
    """
    start = time.monotonic()
    if any(scene.split != "exam" for scene in (*scenes, *earlier)):
        raise ExamError("A training scene is among the exam's questions.", "This is a defect; please report it.")
    asked, again = draw(scenes, settings), draw_earlier(earlier, settings, seed)
    if not any(scene.kind == "apply" for scene in asked):
        raise ExamError("There is no question on any lesson.", "Dream more scenes, or review the lessons.")
    questions, tokens = [*asked, *again], settings.max_new_tokens
    with engine.using(adapter):
        answers = ask(engine, questions, lessons=lessons, max_new_tokens=tokens, batch=settings.batch)
    answers = _with_drift(engine, adapter, questions, answers)
    if settings.judge == "model":
        answers = decide(engine, answers, _wanted(questions, lessons))
    progress(1, PARTS)
    own, others = answers[: len(asked)], answers[len(asked) :]
    if not any(answer.kind == "apply" and answer.right is not None for answer in own):
        raise ExamError("No answer could be judged by rules.", "Give the lessons a check, or set exam.judge to model.")
    if retention is None and worth(own, others):
        with engine.using(adapter):
            retention = measure(engine, panel, reference)
    progress(PARTS, PARTS)
    return ExamResult(adapter, tuple(own), tuple(others), retention, panel.digest, time.monotonic() - start)


def _with_drift(engine: Engine, adapter: str | None, scenes: Sequence[Scene], answers: list[Answer]) -> list[Answer]:
    """How far the version has moved from the base's own answer to each near miss."""
    near = [i for i, scene in enumerate(scenes) if scene.kind == "near_miss" and scene.answer]
    if adapter is None or not near:
        return answers
    moved = forward_kl(engine, [(scenes[i].messages, scenes[i].answer or "") for i in near], None, adapter).per_chat
    out = list(answers)
    for i, value in zip(near, moved, strict=True):
        out[i] = replace(out[i], drift=value)
    return out


def draw(scenes: Sequence[Scene], settings: ExamSettings) -> list[Scene]:
    """Of each lesson the first `held_out` wordings and the first `near_misses`, in order of their ids."""
    room = {"apply": settings.held_out, "near_miss": settings.near_misses}
    taken: dict[tuple[str | None, str], int] = {}
    drawn = []
    for scene in sorted(scenes, key=lambda scene: scene.id):
        place = (scene.lesson, scene.kind)
        if taken.get(place, 0) < room.get(scene.kind, 0):
            taken[place] = taken.get(place, 0) + 1
            drawn.append(scene)
    return drawn


def draw_earlier(scenes: Sequence[Scene], settings: ExamSettings, seed: int) -> list[Scene]:
    """`earlier_questions` of the `apply` scenes, from as many lessons as possible; one of each, if there are more."""
    lessons: dict[str | None, int] = {}
    ranked: list[tuple[int, int, Scene]] = []
    for scene in sorted(scenes, key=lambda scene: new_id(seed, scene.id)):
        if scene.kind == "apply":
            lessons[scene.lesson] = turn = lessons.get(scene.lesson, 0) + 1
            if turn <= settings.held_out:
                ranked.append((turn, len(ranked), scene))
    most = max(settings.earlier_questions, len(lessons))
    return [scene for _, _, scene in sorted(ranked, key=lambda row: row[:2])][:most]


def _wanted(scenes: Sequence[Scene], lessons: Sequence[Lesson]) -> dict[str, str]:
    """Scene id -> what should be said there, as far as anybody knows."""
    taught = {lesson.id: lesson.answer or lesson.note for lesson in lessons}
    found = {scene.id: scene.answer or taught.get(scene.lesson or "") for scene in scenes}
    return {scene_id: text for scene_id, text in found.items() if text}
