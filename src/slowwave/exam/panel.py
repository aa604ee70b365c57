"""The retention panel that ships with the project: what a night must leave as it was. Written for it, in data/.

It is small on purpose: one pass takes seconds on two cores, and what one night may damage shows in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from slowwave.errors import ExamError
from slowwave.records import Message, new_id


@dataclass(frozen=True)
class Choice:
    """A text to be completed and its four completions, of which `answer` is the index of the right one."""

    context: str
    options: tuple[str, ...]
    answer: int


@dataclass(frozen=True)
class Panel:
    """Plain text, multiple choice, everyday requests and requests to be declined."""

    plain_text: tuple[str, ...]
    multiple_choice: tuple[Choice, ...]
    general: tuple[str, ...]
    refusals: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in ("plain_text", "multiple_choice", "general", "refusals"):
            if not getattr(self, part):
                raise ExamError(f"The retention panel has no {part.replace('_', ' ')}.", "Reinstall slowwave.")

    @classmethod
    def load(cls, limit: int | None = None) -> Panel:
        """The packaged panel; with `limit` the first so many items of each part.

        Raises:
            ExamError: a part is missing, damaged or empty.
        """
        choices = [Choice(row["context"], tuple(row["options"]), row["answer"]) for row in _read("multiple_choice")]
        return cls(
            tuple(row["text"] for row in _read("plain_text"))[:limit],
            tuple(choices)[:limit],
            tuple(row["question"] for row in _read("general"))[:limit],
            tuple(row["question"] for row in _read("refusals"))[:limit],
        )

    @property
    def digest(self) -> str:
        """Sixteen digits that change with any item: figures of another panel are not compared."""
        return new_id(self.plain_text, [(c.context, c.options, c.answer) for c in self.multiple_choice],
                      self.general, self.refusals)  # fmt: skip

    @property
    def chats(self) -> list[list[Message]]:
        """The general questions as chats."""
        return [[{"role": "user", "content": question}] for question in self.general]


def _read(part: str) -> list[dict[str, Any]]:
    try:
        text = (files("slowwave.exam") / "data" / f"{part}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise ExamError(f"The panel's {part}.jsonl cannot be read ({error}).", "Reinstall slowwave.") from error
