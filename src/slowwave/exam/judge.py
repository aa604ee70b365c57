"""A judge for what the rules leave undecided: the base model. Off unless `judge = "model"`.

It measures how much likelier the expected answer becomes once the given answer has been said, on a scale from 0
(nothing was said) to 1 (the expected answer itself was said). Asking for yes or no was tried first: on 48 hand-made
cases SmolLM2-135M says yes to nearly all (AUC 0.52 and 0.59, calibrated 0.50 to 0.66); this measure has AUC 0.96 and
decides 0.83 and 0.92 of two sets of 24 right (with a threshold set after seeing both). A weak judge: prefer rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from slowwave.exam.probes import Answer
from slowwave.records import Message

if TYPE_CHECKING:
    from slowwave.models.engine import Engine

_THRESHOLD = 0.4
_NOTHING = "..."


def decide(engine: Engine, answers: Sequence[Answer], wanted: Mapping[str, str]) -> list[Answer]:
    """`answers` with the undecided `apply` ones judged against `wanted` (scene id -> what should have been said)."""
    undecided = [i for i, a in enumerate(answers) if a.kind == "apply" and a.right is None and a.scene_id in wanted]
    pairs: list[tuple[list[Message], str]] = []
    for i in undecided:
        expected = wanted[answers[i].scene_id]
        for said in (answers[i].answer or _NOTHING, _NOTHING, expected):
            pairs.append((_repeat(answers[i].question, said), expected))
    with engine.using(None):  # a version must not judge itself
        logp = [-float(score.nll.mean()) for score in engine.score(pairs)]
    decided = list(answers)
    for place, i in enumerate(undecided):
        given, nothing, same = logp[3 * place : 3 * place + 3]
        decided[i] = replace(answers[i], right=given - nothing > _THRESHOLD * (same - nothing))
    return decided


def _repeat(question: str, said: str) -> list[Message]:
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": said},
        {"role": "user", "content": "Say that again in one short sentence."},
    ]
