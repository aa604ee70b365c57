"""How many scenes a night dreams from each lesson, and how strict it is with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

from slowwave.errors import SettingsError

_BOUNDS = {
    "apply": (1, 500), "composed": (0, 1000), "composed_near": (0, 1000),
    "near_miss": (0, 500), "ordinary": (0, 5000), "exam_apply": (1, 50),
    "exam_near_miss": (0, 50), "watch": (0, 500), "prose": (0, 40),
    "samples": (0, 100), "tokens": (8, 1024), "answer_tokens": (4, 1024),
    "near_tokens": (4, 1024), "temperature": (0.05, 2.0),
    "similarity": (0.0, 1.0), "rehearsal": (0, 500),
    "sensible": (0.1, 1.0), "rounds": (1, 20), "anew": (0, 100), "answers": (2, 64), "confidence": (0.5, 0.999),
    "reflex": (0.01, 0.5),
    "collided": (0.0, 1.0), "chains": (0, 500), "written": (0, 500), "max_scenes": (0, 1_000_000),
    "max_tokens": (0, 100_000_000), "max_seconds": (0.0, 86_400.0), "diversity": (0.0, 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class DreamSettings:
    """The dreamer: prompt forms, filters, a bank of ordinary messages, collisions with other memories."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    apply: int = 14  # training scenes a lesson in which it applies
    composed: int = 60  # further training wordings a lesson, composed of the question's parts
    wide: bool = False  # from a thesaurus of three times as many words and further forms: for some 200 scenes a lesson
    composed_near: int = 24  # the same about other people and other things
    near_miss: int = 16  # training scenes a lesson in which it must not
    ordinary: int = 48  # scenes a night from everyday life
    exam_apply: int = 3  # questions a lesson set aside for the exam
    exam_near_miss: int = 2
    prose: int = 36  # passages a night whose continuation must stay as likely as it was
    watch: int = 10  # ordinary scenes a night that are never trained on, to watch the drift
    samples: int = 1  # generations for each of the seven prompt forms
    tokens: int = 40  # a generation's length
    answer_tokens: int = 24  # length of the base's own answers to ordinary messages and to the exam's near misses
    near_tokens: int = 24  # and to the near misses that are trained on
    temperature: float = 0.8
    similarity: float = 0.5  # least cosine similarity (MiniLM) of a wording to the question it rewords
    collided: float = 0.0  # share of the training scenes that are dreamt once more, collided with other memories
    sensible: float = 1.0  # share of a lesson's training scenes that the judge of scenes keeps; 1 asks it nothing
    rubric: str = ""  # a larger model, as in `dreamer`, that judges wordings, and answers between rounds; empty: none
    rounds: int = 1  # of a night's training; from the second on scenes are chosen by how they are answered by then
    anew: int = 8  # wordings a lesson that the model as it is by then writes between two rounds; with a `dreamer`, none
    answers: int = 4  # sampled to each scene that may be chosen
    confidence: float = 0.9  # with which a lesson has converged: its old reflex is rarer than `reflex` on what is new
    reflex: float = 0.1  # share of novel scenes
    chains: int = 0  # training scenes a lesson that ask for another lesson as well
    dreamer: str = ""  # who writes wordings and situations: a model's name, "http://host/v1#model"; empty: who learns
    written: int = 0  # situations a lesson that the dreamer writes, each with a near miss; for a larger one
    max_scenes: int = 0  # training scenes a night in which lessons apply; 0: as many as there are
    max_tokens: int = 0  # tokens a night that the dreamer writes; 0: no bound
    max_seconds: float = 0.0  # seconds a night that it may take to write them, and `rubric` to judge; 0: no bound
    diversity: float = 0.8  # share of the first ten nights' that dreams keep, or they are dreamt once more, hotter
    rehearsal: int = 27  # wordings of every earlier lesson that are rehearsed, if a night has time for so many

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise SettingsError(f"dream.{name} is {getattr(self, name)}; it must be from {low} to {high}.")
        for role in ("dreamer", "rubric"):
            name = getattr(self, role)
            if name.startswith(("http:", "https:")) and not all(endpoint(name)):
                raise SettingsError(
                    f"dream.{role} is {name!r}, which names no endpoint and model.",
                    'Write it like "http://127.0.0.1:8000/v1#qwen".',
                )

    def within(self, **changes: float) -> DreamSettings:
        """With these values, or the nearest that are allowed."""
        kept: dict[str, Any] = {}
        for name, value in changes.items():
            low, high = _BOUNDS[name]
            kept[name] = max(low, min(high, value))
        return replace(self, **kept)


def endpoint(name: str) -> tuple[str, str]:
    """The address and the model, where a dreamer or a judge is one behind an endpoint; else one of them is empty."""
    url, _, model = name.partition("#")
    return (url if urlsplit(url).hostname else ""), model
