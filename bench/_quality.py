"""The measuring side of night_quality.py: the benchmark's lessons, and the figures of one version on them.

The learner never sees what is read here but the one exchange of each lesson.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slowwave.exam.drift import forward_kl
from slowwave.exam.match import passes
from slowwave.exam.panel import Panel
from slowwave.exam.retention import Reference, bits_per_byte
from slowwave.night.lessons import extract
from slowwave.records import Check, Experience, Lesson, Message, Outcome

TOKENS = 64  # of an answer: one or two sentences
BATCH = 64  # always the same, base and version alike: another batch rounds differently


@dataclass(frozen=True)
class Item:
    """One lesson of the benchmark: what the learner gets, and what it is asked."""

    id: str
    kind: str
    lesson: Lesson | None  # None: nothing was found in the exchange; its questions count all the same
    exchange: Experience
    held_out: tuple[str, ...]
    situations: tuple[str, ...]
    check: Check
    near_misses: tuple[tuple[str, Check, Check], ...]  # question, the right answer, what shows a takeover
    novel: tuple[tuple[str, tuple[Message, ...]], ...] = ()  # its kind (speaker, domain ...), conversation


@dataclass
class Figures:
    """Per question 0 or 1, so that versions compare pairwise; and the drift figures."""

    held_out: list[float] = field(default_factory=list)
    situations: list[float] = field(default_factory=list)
    novel: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)  # near misses with a known right answer
    taken_over: list[float] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)  # figure -> item id per question
    drift: float = 0.0
    bits: float = 0.0
    answers: list[dict[str, Any]] = field(default_factory=list)

    def mean(self, name: str) -> float:
        values = getattr(self, name)
        return sum(values) / len(values) if values else float("nan")


def load(path: Path, count: int | None = None) -> list[Item]:
    """The benchmark's lessons, the kinds in turn so that any first few are mixed."""
    raw = json.loads(path.read_text())["lessons"]
    novel = json.loads(path.with_name(f"{path.stem}_situations.json").read_text())
    kinds = sorted({entry["kind"] for entry in raw})
    turn = {kind: [entry for entry in raw if entry["kind"] == kind] for kind in kinds}
    mixed = [row[i] for i in range(max(map(len, turn.values()))) for row in turn.values() if i < len(row)]
    items = []
    for entry in mixed[:count]:
        data, outcome = entry["exchange"], entry["exchange"].get("outcome") or {}
        exchange = Experience(
            data["id"],
            data["persona"],
            data["source"],
            data["time"],
            tuple(data["messages"]),
            Outcome(outcome.get("rating"), outcome.get("correction")),
            "user",
        )
        lesson = extract(exchange)
        near = tuple(
            (n["question"], Check(tuple(n["any_of"])), Check(tuple(n["forbid"]))) for n in entry["near_misses"]
        )
        check = Check(tuple(entry["check"]["any_of"]), tuple(entry["check"]["none_of"]))
        items.append(
            Item(
                entry["id"],
                entry["kind"],
                lesson,
                exchange,
                tuple(entry["held_out"]),
                tuple(entry.get("situations", ())),
                check,
                near,
                tuple((one["kind"], tuple(one["messages"])) for one in novel[entry["id"]]),
            )
        )
    return items


def ask(engine: Any, chats: Sequence[Sequence[Message]], notes: Sequence[str] | None = None) -> list[str]:
    """Greedy answers, each conversation alone or after a note in the system prompt."""
    if notes is not None:
        chats = [
            [{"role": "system", "content": f"You are a helpful assistant. Keep in mind: {note}"}, *chat]
            for note, chat in zip(notes, chats, strict=True)
        ]
    return [row[0].text for row in engine.generate(chats, max_new_tokens=TOKENS, batch=BATCH)]


def held_out(engine: Any, items: Sequence[Item]) -> list[float]:
    """Of each held-out wording, whether it is answered as taught."""
    asked = [(question, item.check) for item in items for question in item.held_out]
    answers = ask(engine, [alone(question) for question, _ in asked])
    return [float(passes(answer, check)) for answer, (_, check) in zip(answers, asked, strict=True)]


def alone(question: str) -> list[Message]:
    """A conversation of one message."""
    return [{"role": "user", "content": question}]


def measure(
    engine: Any, items: Sequence[Item], panel: Panel, reference: Reference, *, in_prompt: bool = False
) -> Figures:
    """Every figure of the version that answers now."""
    out = Figures()
    asked = [(item, "held_out", alone(q), item.check, None) for item in items for q in item.held_out]
    asked += [(item, "situations", alone(q), item.check, None) for item in items for q in item.situations]
    asked += [(item, f"novel {kind}", chat, item.check, None) for item in items for kind, chat in item.novel]
    asked += [(item, "near", alone(q), right, tell) for item in items for q, right, tell in item.near_misses]
    notes = [item.lesson.note if item.lesson else "" for item, *_ in asked] if in_prompt else None
    answers = ask(engine, [q for _, _, q, _, _ in asked], notes)
    for (item, what, chat, check, tell), answer in zip(asked, answers, strict=True):
        if what != "near":
            name, _, kind = what.partition(" ")
            getattr(out, name).append(float(passes(answer, check)))
            out.groups.setdefault(name, []).append(item.id)
            if kind:
                out.groups.setdefault("kinds of situation", []).append(kind)
        else:
            out.taken_over.append(float(passes(answer, tell)))
            out.groups.setdefault("taken_over", []).append(item.id)
            if check.any_of:
                out.right.append(float(passes(answer, check)))
                out.groups.setdefault("right", []).append(item.id)
        out.answers.append({"item": item.id, "what": what, "question": chat[-1]["content"], "answer": answer})
    if not in_prompt:
        out.bits = bits_per_byte(engine, panel)
        if engine.active is not None:
            out.drift = forward_kl(
                engine, list(zip(panel.chats, reference.answers, strict=True)), None, engine.active
            ).per_token
    return out
