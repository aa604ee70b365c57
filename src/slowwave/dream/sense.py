"""Whether a dreamt scene is sensible, new, and of the kind it claims: rules first, then the embedder, then the model.

Of its kind: the base that is told the lesson finds the lesson's answer likely there. It need not be able to answer
alone; a scene is one in which who knows the lesson would say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from slowwave.dream.distil import note
from slowwave.dream.filters import Embeds, keeps_secret
from slowwave.records import Lesson, Message, Scene

LONGEST = 80  # words of a message
SAME = 0.985  # cosine of two messages that are one


class Reads(Protocol):
    """What is needed of an engine."""

    def score(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[Any]: ...
    def continuation_logprob(self, pairs: Sequence[tuple[str, str]]) -> list[float]: ...


def sensible(
    engine: Reads, embedder: Embeds, scenes: Sequence[Scene], lessons: Sequence[Lesson], keep: float
) -> list[Scene]:
    """The scenes without the worst of those in which lessons apply: of every lesson the share `keep` stays.

    A lesson's own exchange, scenes of other kinds and those of the exam are not judged.
    """
    by_id = {lesson.id: lesson for lesson in lessons}
    judged = [
        at for at, one in enumerate(scenes)
        if one.kind == "apply" and one.split == "train" and one.family != "given" and one.lesson in by_id
    ]  # fmt: skip
    ruled = _ruled_out(scenes, judged, by_id, embedder)
    asked = [at for at in judged if at not in ruled and scenes[at].answer]
    value = dict(zip(asked, _values(engine, [scenes[at] for at in asked], by_id), strict=True))
    dropped = set(ruled)
    for lesson in by_id:
        mine = sorted((at for at in asked if scenes[at].lesson == lesson), key=lambda at: -value[at])
        every = sum(scenes[at].lesson == lesson for at in judged)
        dropped |= set(mine[max(1, round(keep * every)) :])
    return [one for at, one in enumerate(scenes) if at not in dropped]


def _ruled_out(scenes: Sequence[Scene], judged: Sequence[int], by_id: dict[str, Lesson], embedder: Embeds) -> set[int]:
    """Too long, telling the answer, or said before."""
    out: set[int] = set()
    texts = [" ".join(m["content"] for m in scenes[at].messages) for at in judged]
    vectors_J_D = embedder.embed(texts) if texts else np.zeros((0, 1), np.float32)
    kept: dict[str | None, list[int]] = {}
    for row, at in enumerate(judged):
        one, text = scenes[at], scenes[at].messages[-1]["content"]
        lesson = by_id[one.lesson or ""]
        told = lesson.kind == "answer" and not keeps_secret(texts[row], lesson.question or "", one.answer)
        own = kept.setdefault(one.lesson, [])
        if len(text.split()) > LONGEST or told or (own and float((vectors_J_D[own] @ vectors_J_D[row]).max()) > SAME):
            out.add(at)
        else:
            own.append(row)
    return out


def _values(engine: Reads, scenes: Sequence[Scene], by_id: dict[str, Lesson]) -> np.ndarray:
    """How good each scene is, value_N: standard scores within its lesson of how likely a sentence its message is, and
    of how likely the answer, to a base that was told the lesson."""
    if not scenes:
        return np.zeros(0)
    told = [([note(by_id[one.lesson or ""]), *one.messages], one.answer or "") for one in scenes]
    fits_N = -np.array([float(score.nll.mean()) if len(score.nll) else 0.0 for score in engine.score(told)])
    said = [("User:", f" {one.messages[-1]['content']}") for one in scenes]
    fluent_N = np.array(engine.continuation_logprob(said))
    out_N = np.zeros(len(scenes))
    for lesson in {one.lesson for one in scenes}:
        at = [i for i, one in enumerate(scenes) if one.lesson == lesson]
        for figure_N in (fits_N[at], fluent_N[at]):
            out_N[at] += (figure_N - figure_N.mean()) / max(float(figure_N.std()), 1e-6)
    return out_N
