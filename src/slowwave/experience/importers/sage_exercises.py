"""SAGE's exercises, one a line: `{session, type, prompt, expected, response, start, success, r6}`.

Graded by a rule (`success`) or by its R6 evaluation ("include" or "exclude"; others say nothing): the outcome of a
tool. `expected` is a substring to look for and no answer, so it is no correction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slowwave.experience.importers.conversation import Broken, experiences, text_of, time_of
from slowwave.records import Experience, Outcome

SOURCE = "tool:sage-exercise"


def convert(record: dict[str, Any], persona: str) -> Iterator[Experience]:
    """The experience of one exercise. Raises Broken."""
    success, r6 = record.get("success"), record.get("r6")
    if success is None and isinstance(r6, dict):
        success = {"include": True, "exclude": False}.get(str(r6.get("evaluation")))
    if success is not None and not isinstance(success, bool):
        raise Broken("`success` is neither true nor false")
    turns = [
        {"role": "user", "content": text_of(record.get("prompt"), "the prompt")},
        {"role": "assistant", "content": text_of(record.get("response"), "the response")},
    ]
    time = time_of(record.get("start"))
    return experiences(turns, Outcome(tool_ok=success), ids=None, persona=persona, source=SOURCE, time=time)
