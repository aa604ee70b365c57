"""The records that pass from room to room: what was lived, what is to be learned, what is asked.

Plain frozen dataclasses that go to JSON and back. They know no storage, no tensors and no HTTP.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": "..."}
Authority = Literal["user", "tool", "assistant", "dream", "unknown"]
ORDER: tuple[Authority, ...] = get_args(Authority)  # from most to least
SceneKind = Literal["apply", "near_miss", "ordinary", "chain"]
Split = Literal["train", "exam"]
LessonStatus = Literal["proposed", "approved", "refused", "learned", "unlearned", "undone"]
NodeKind = Literal["experience", "lesson", "reflection", "skill", "entity"]
LinkKind = Literal["follows", "similar", "mentions", "corrects", "contradicts", "derived_from"]

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What followed an answer. `correction` is the answer that should have been given, in the assistant's voice."""

    rating: float | None = None  # in [-1, 1]
    correction: str | None = None
    tool_ok: bool | None = None


@dataclass(frozen=True)
class Salience:
    """SNARC: five numbers and a weighted total, each in [0, 1]; `valence` in [-1, 1] is the sign of the reward."""

    surprise: float
    novelty: float
    arousal: float
    reward: float
    conflict: float
    total: float
    valence: float = 0.0
    reasons: dict[str, str] = field(default_factory=dict)  # one sentence for each of the five


@dataclass(frozen=True)
class Experience:
    """One recorded exchange and what followed it."""

    id: str
    persona: str
    source: str  # "user:ann", "tool:shell", "assistant", "unknown"
    time: str  # ISO 8601, UTC
    messages: tuple[Message, ...]
    outcome: Outcome = Outcome()
    authority: Authority = "unknown"
    salience: Salience | None = None
    adapter: str | None = None  # which version answered


@dataclass(frozen=True)
class Check:
    """How an answer is judged by rules: one phrase of `any_of` (if any) and none of `none_of`, on normalised text."""

    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lesson:
    """What is to be learned from one or more experiences.

    `question` and `answer` are the exchange as it should have gone; `note` says it in a sentence that can stand in a
    prompt. `cue` is set where the lesson is a habit that a phrase in the user's message triggers.
    """

    id: str
    persona: str
    note: str
    question: str | None
    answer: str | None
    check: Check
    kind: Literal["answer", "unknown", "cue", "note"] = "answer"
    cue: str | None = None
    applies: str = ""  # in words, for the person who reviews it
    not_applies: str = ""
    experiences: tuple[str, ...] = ()
    authority: Authority = "unknown"
    salience: float = 1.0  # weight of its scenes in the loss
    status: LessonStatus = "proposed"
    night: int | None = None  # the night that learned it
    review: Literal["approved", "refused"] | None = None  # what a person said of it last, whatever became of it since


@dataclass(frozen=True)
class Label:
    """An answer in its conversation, and whether the user found it good."""

    chat: tuple[Message, ...]  # up to the question
    answer: str
    good: bool
    about: str  # the experience or lesson: labels about one thing are not independent
    why: Literal["rating", "correction", "follow-up", "review"]


@dataclass(frozen=True)
class Scene:
    """One prompt made from a lesson (or from ordinary life), for training or for the exam."""

    id: str
    lesson: str | None  # lesson id; None for ordinary scenes
    kind: SceneKind
    messages: tuple[Message, ...]  # ends with a user turn
    answer: str | None  # wanted reply; None where the base's own answer is the target
    family: str  # wording family: the split between training and exam never cuts through one
    split: Split = "train"
    weight: float = 1.0
    check: Check = Check()
    authority: Authority = "dream"  # the minimum over its lineage
    lineage: tuple[str, ...] = ()  # experience ids
    walk: tuple[str, ...] = ()  # nodes of the memory graph by which it came to what it was collided with, its ways
    ended: bool = True  # False where `answer` was cut at its length, so that no end is learned from it

    @property
    def taught(self) -> bool:
        """Whether its answer is learned; else the base's own answer is held."""
        return self.kind in ("apply", "chain")

    @property
    def ways(self) -> list[tuple[str, ...]]:
        """The ways of its walk, one to each memory: every one begins at the walk's first node."""
        starts = [at for at, node in enumerate(self.walk) if node == self.walk[0]]
        return [self.walk[start:end] for start, end in zip(starts, [*starts[1:], None], strict=False)]


@dataclass(frozen=True)
class Node:
    """Something in the memory graph. The id of an experience's or a lesson's node is that of the record after its kind,
    "lesson:9c1..."; people and things are entities, by name."""

    id: str
    persona: str
    kind: NodeKind
    text: str  # in a line: what was asked, the lesson's note, the name
    time: float  # seconds since 1970
    authority: Authority = "unknown"


@dataclass(frozen=True)
class Link:
    """A typed link of the memory graph. `similar` and `contradicts` have no direction."""

    source: str
    target: str
    kind: LinkKind
    weight: float  # in (0, 1]


def least(*authorities: Authority) -> Authority:
    """The least of them, which what is made from all of them has; of none at all, unknown."""
    return max(authorities, key=ORDER.index, default="unknown")


def new_id(*parts: object) -> str:
    """A stable 16-digit id of the parts: the same content gives the same id."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def to_dict(record: Any) -> dict[str, Any]:
    """A record as JSON-ready data."""
    return dataclasses.asdict(record)


def from_dict(cls: type[T], data: dict[str, Any]) -> T:
    """The record that `to_dict` wrote. Unknown keys are refused (TypeError)."""
    nested = {"outcome": Outcome, "salience": Salience, "check": Check}
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key in nested and isinstance(value, dict):
            value = from_dict(nested[key], value)
        elif isinstance(value, list):
            value = tuple(value)
        values[key] = value
    return cls(**values)
