"""From scenes to what training eats: decisions of a lesson, anchors that stay, and anchors that are only watched.

The same templates as for answering. The one place where a scene's kind becomes a loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from slowwave.exam.match import has_rule, passes
from slowwave.learn.decision import Decision
from slowwave.models.chat import prompt_ids, reply_ids
from slowwave.models.engine import Engine
from slowwave.records import Scene

_REHEARSED = 2 / 3  # earlier lessons' scenes for each of tonight's near misses, at least


@dataclass(frozen=True)
class Curriculum:
    """A night's training set; `watch` is never trained on."""

    lessons: list[Decision]
    anchors: list[Decision]
    watch: list[Decision]


def curriculum(
    engine: Engine, scenes: Sequence[Scene], earlier: Sequence[Scene], start: str | None, rehearsal: int
) -> Curriculum:
    """Turn training scenes into decisions.

    Args:
        scenes: tonight's, answered: `apply` is learned; near misses and ordinary ones keep the base's answers.
        earlier: of earlier nights' lessons: `rehearsal` or more a lesson keep the starting version's answers, where
            those are right. Where they are wrong, the lesson is being forgotten, and its answer is learned again.
        start: the version that training starts from, loaded; None for the base.
    """
    answered = [scene for scene in scenes if scene.answer and scene.split == "train"]
    lessons = [_decision(engine, scene, weight=scene.weight) for scene in _even(answered)]
    near = [_decision(engine, scene, lesson=False) for scene in answered if scene.kind == "near_miss"]
    ordinary = [scene for scene in answered if scene.kind == "ordinary"]
    everyday = [_decision(engine, scene, lesson=False) for scene in ordinary if scene.family != "watch"]
    watch = [_decision(engine, scene, lesson=False) for scene in ordinary if scene.family == "watch"]
    still_known, forgotten = _rehearsed(engine, earlier, start, rehearsal, round(_REHEARSED * len(near)))
    kept = [_decision(engine, scene, lesson=False, from_start=True) for scene in still_known]
    lessons += [_decision(engine, scene, weight=scene.weight) for scene in forgotten]
    anchors = near + everyday * _times(len(everyday), len(near)) + kept
    return Curriculum(lessons, anchors, watch)


def _times(everyday: int, others: int) -> int:
    """How often everyday anchors are drawn for each time another is: they are a quarter of the anchors at least,
    however many lessons there are tonight or were before, or general answers would drift."""
    return max(1, -(-others // (3 * everyday))) if everyday else 1


def _even(scenes: Sequence[Scene]) -> list[Scene]:
    """The scenes in which lessons apply, every lesson's as often as those of the lesson that has most: some kinds of
    lesson have fewer scenes, and would be learned less."""
    of: dict[str | None, list[Scene]] = {}
    for scene in scenes:
        if scene.kind == "apply":
            of.setdefault(scene.lesson, []).append(scene)
    most = max(map(len, of.values()), default=0)
    return [mine[i % len(mine)] for mine in of.values() for i in range(most)]


def _rehearsed(
    engine: Engine, earlier: Sequence[Scene], start: str | None, each: int, least: int
) -> tuple[list[Scene], list[Scene]]:
    """Earlier lessons' training scenes, `each` a lesson and, as far as there are any, `least` in all: those that
    `start` answers rightly, with its answers, and those that it does not, with the lesson's."""
    lessons = {scene.lesson for scene in earlier if scene.kind == "apply" and scene.split == "train"}
    most = max(each, -(-least // max(1, len(lessons))))
    counts: dict[str | None, int] = {}
    picked: list[Scene] = []
    for scene in sorted(earlier, key=lambda scene: scene.id):  # ids are hashes: wordings of every sort
        if scene.kind == "apply" and scene.split == "train" and counts.get(scene.lesson, 0) < most:
            counts[scene.lesson] = counts.get(scene.lesson, 0) + 1
            picked.append(scene)
    if not picked or start is None:
        return [], []
    with engine.using(start):
        replies = engine.generate([scene.messages for scene in picked], max_new_tokens=64, batch=32)
    known, forgotten = [], []
    for scene, row in zip(picked, replies, strict=True):
        if row[0].text and (not has_rule(scene.check) or passes(row[0].text, scene.check)):
            known.append(replace(scene, answer=row[0].text, ended=row[0].finish == "stop"))
        elif scene.answer:
            forgotten.append(scene)
    return known, forgotten


def _decision(
    engine: Engine, scene: Scene, *, weight: float = 1.0, lesson: bool = True, from_start: bool = False
) -> Decision:
    reply = reply_ids(engine.tokenizer, scene.answer or "")
    if not scene.ended:
        reply = reply[:-1]  # cut off by length: its end was not the model's choice
    return Decision(tuple(prompt_ids(engine.tokenizer, scene.messages)), tuple(reply), weight, lesson, from_start)
