"""From scenes to what training eats: decisions of a lesson, anchors that stay, and anchors that are only watched.

The same templates as for answering. The one place where a scene's kind becomes a loss.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from slowwave.exam.match import has_rule, passes
from slowwave.learn.decision import Decision
from slowwave.learn.settings import LearnSettings
from slowwave.models.chat import header_length, prompt_ids, reply_ids
from slowwave.models.engine import Engine
from slowwave.records import Scene

_LIKELIEST = math.log(2)  # nats: a token that is less surprising than this is likelier than all others together


@dataclass(frozen=True)
class Curriculum:
    """A night's training set; `watch` is never trained on."""

    lessons: list[Decision]
    anchors: list[Decision]
    watch: list[Decision]
    relearned: list[Decision] = field(default_factory=list)  # of `lessons`, what earlier nights taught
    near: list[Decision] = field(default_factory=list)  # of `anchors`, the near misses


def curriculum(
    engine: Engine,
    scenes: Sequence[Scene],
    earlier: Sequence[Scene],
    start: str | None,
    rehearsal: int,
    settings: LearnSettings,
    more: Mapping[str, float] | None = None,
) -> Curriculum:
    """Turn training scenes into decisions.

    Args:
        scenes: tonight's, answered: `apply` is learned; near misses and ordinary ones keep the base's answers.
        earlier: of earlier nights' lessons: `rehearsal` wordings a lesson keep the starting version's answers, where
            those are right; fewer if there are more than a night of these `settings` draws. Where they are wrong, the
            lesson is being forgotten, and its answer is learned again.
        start: the version that training starts from, loaded; None for the base.
        more: lessons, by id, that are learned so many times as often as the others.
    """
    answered = [scene for scene in scenes if scene.answer and scene.split == "train"]
    lessons = [decision(engine, scene, weight=scene.weight) for scene in _even(answered, more or {})]
    near = [decision(engine, scene, lesson=False) for scene in answered if scene.kind == "near_miss"]
    ordinary = [scene for scene in answered if scene.kind == "ordinary"]
    everyday = [decision(engine, scene, lesson=False) for scene in ordinary if scene.family != "watch"]
    watch = [decision(engine, scene, lesson=False) for scene in ordinary if scene.family == "watch"]
    drawn = settings.rehearsal_batch * settings.steps(len(lessons))
    still_known, forgotten = _rehearsed(engine, earlier, start, rehearsal, drawn)
    kept = [decision(engine, scene, lesson=False, from_start=True) for scene in still_known]
    relearned = [decision(engine, scene, weight=scene.weight) for scene in forgotten]
    lessons += relearned
    anchors = near + everyday * _times(len(everyday), len(near)) + kept
    return Curriculum(lessons, anchors, watch, relearned, near)


def _times(everyday: int, others: int) -> int:
    """How often everyday anchors are drawn for each time another is: they are a quarter of the anchors at least,
    however many lessons there are tonight or were before, or general answers would drift."""
    return max(1, -(-others // (3 * everyday))) if everyday else 1


def _even(scenes: Sequence[Scene], more: Mapping[str, float]) -> list[Scene]:
    """The scenes in which lessons apply, every lesson's as often as those of the lesson that has most, or `more` times
    that: some kinds of lesson have fewer scenes, and would be learned less."""
    of: dict[str, list[Scene]] = {}
    for scene in scenes:
        if scene.taught:
            of.setdefault(scene.lesson or "", []).append(scene)
    most = max((len(mine) / more.get(id, 1) for id, mine in of.items()), default=0)
    return [mine[i % len(mine)] for id, mine in of.items() for i in range(round(most * more.get(id, 1)))]


def _rehearsed(
    engine: Engine, earlier: Sequence[Scene], start: str | None, each: int, most: int
) -> tuple[list[Scene], list[Scene]]:
    """Earlier lessons' training scenes, `each` a lesson but `most` in all, other wordings from each version on: those
    that `start` answers rightly, with its answers, and those that it does not, with the lesson's."""
    if start is None:
        return [], []
    of: dict[str | None, list[Scene]] = {}
    for scene in sorted(earlier, key=lambda scene: hashlib.sha256(f"{start} {scene.id}".encode()).digest()):
        if scene.kind == "apply" and scene.split == "train" and scene.answer:
            of.setdefault(scene.lesson, []).append(scene)
    each = min(each, max(1, most // max(1, len(of))))
    picked = [scene for mine in of.values() for scene in mine[:each]][:most]
    known, forgotten = [], []
    with engine.using(start):
        sure = [
            len(score.nll) > 0 and float(score.nll.max()) < _LIKELIEST
            for score in engine.score([(scene.messages, scene.answer or "") for scene in picked])
        ]  # greedily it would say just that: one pass tells, where generating takes one for each token
        asked = [scene for scene, said in zip(picked, sure, strict=True) if not said]
        replies = engine.generate([scene.messages for scene in asked], max_new_tokens=64, batch=32) if asked else []
    known += [scene for scene, said in zip(picked, sure, strict=True) if said]
    for scene, row in zip(asked, replies, strict=True):
        if row[0].text and (not has_rule(scene.check) or passes(row[0].text, scene.check)):
            known.append(replace(scene, answer=row[0].text, ended=row[0].finish == "stop"))
        else:
            forgotten.append(scene)
    return known, forgotten


def decision(
    engine: Engine, scene: Scene, *, weight: float = 1.0, lesson: bool = True, from_start: bool = False
) -> Decision:
    """A scene's reply after its messages, in token ids."""
    reply = reply_ids(engine.tokenizer, scene.answer or "")
    if not scene.ended:
        reply = reply[:-1]  # cut off by length: its end was not the model's choice
    context = tuple(prompt_ids(engine.tokenizer, scene.messages))
    header = max(1, header_length(engine.tokenizer))  # what predicts the first token of a reply belongs to it
    return Decision(context, tuple(reply), weight, lesson, from_start, header=header)
