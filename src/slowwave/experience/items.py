"""From the store's records to what the memory graph takes in: the node of each, and what of it makes links."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence

import numpy as np

from slowwave.experience.follow_up import exchange, is_correction
from slowwave.experience.rows import moment
from slowwave.experience.salience import gist
from slowwave.memory.grow import Item
from slowwave.records import Experience, Lesson, Node, NodeKind, least, new_id

LINE = 200  # characters of a node's text
_HOW = re.compile(r"^(?:how (?:do|can|should|must)|what (?:do|must|should) (?:i|we) do)\b", re.IGNORECASE)
_UNKNOWN = np.zeros(0, np.float32)  # a vector that is still to come


def of_experience(lived: Experience) -> Item:
    """One exchange. It follows what the same source said before; if its question is a correction, it corrects that.

    The last question: a conversation is recorded with all that was said before.
    """
    said = [message["content"] for message in lived.messages if message["role"] == "user"]
    node = Node(
        f"experience:{lived.id}", lived.persona, "experience", line(said[0] if said else gist(lived)),
        moment(lived.time), lived.authority,
    )  # fmt: skip
    asked = [message["content"] for message in exchange(lived)[0] if message["role"] == "user"]
    whole = "\n".join([*said, lived.outcome.correction or ""])
    return Item(node, _UNKNOWN, whole, lived.source, corrects_last=bool(asked) and is_correction(asked[-1]))


def of_lesson(lesson: Lesson, learned_from: Sequence[Experience]) -> Item:
    """One lesson. It comes from its experiences, and corrects those in which something else was answered. One that was
    taught outright is as old as its link."""
    learned = max((moment(one.time) for one in learned_from), default=time.time())
    node = Node(f"lesson:{lesson.id}", lesson.persona, "lesson", line(lesson.note), learned, lesson.authority)
    answered = [one for one in learned_from if any(message["role"] == "assistant" for message in one.messages)]
    return Item(
        node, _UNKNOWN, f"{lesson.question}\n{lesson.answer}" if lesson.question else lesson.note,
        derived_from=tuple(f"experience:{one.id}" for one in learned_from),
        corrects=tuple(f"experience:{one.id}" for one in answered) if lesson.kind == "answer" else (),
        question=lesson.question or "", answer=lesson.answer or "",
    )  # fmt: skip


def consolidated(lessons: Iterable[Lesson]) -> list[Item]:
    """A reflection for each night whose lessons stand, and a skill for each lesson that is a way to do something.

    Their words are the lessons', put together by rule, so their authority is the least of the lessons'. Their ids are
    of their content: other lessons, another node.
    """
    learned = [one for one in lessons if one.status == "learned" and one.night is not None]
    nights = {
        night: [one for one in learned if one.night == night] for night in sorted({o.night or 0 for o in learned})
    }
    out = [
        _made("reflection", f"Night {night} taught: {' '.join(o.note for o in mine)}", mine)
        for night, mine in nights.items()
    ]
    ways = [one for one in learned if one.kind in ("cue", "unknown") or _HOW.match(one.question or "")]
    return out + [_made("skill", one.note, [one]) for one in ways]


def line(text: str) -> str:
    """A text in one line, cut at its length."""
    return " ".join(text.split())[:LINE]


def _made(kind: NodeKind, text: str, lessons: Sequence[Lesson]) -> Item:
    sources = tuple(f"lesson:{one.id}" for one in lessons)
    node = Node(
        f"{kind}:{new_id(kind, text, sources)}", lessons[0].persona, kind, line(text),
        0.0, least(*(one.authority for one in lessons)),  # the store knows no night's time: it gets its lessons'
    )  # fmt: skip
    return Item(node, _UNKNOWN, text, derived_from=sources)
