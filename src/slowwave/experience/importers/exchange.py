"""One exchange a line: `{"id", "time", "persona", "source", "messages", "outcome"}`, all but `messages` optional.

OpenAI fine-tuning JSONL (`{"messages": [...]}`) is valid as it is. It names no source, so its authority is "unknown".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slowwave.experience.importers.conversation import (
    experiences,
    messages_of,
    name_of,
    outcome_of,
    persona_of,
    time_of,
)
from slowwave.records import Experience


def convert(record: dict[str, Any], persona: str) -> Iterator[Experience]:
    """The experiences of one line. Raises Broken."""
    return experiences(
        messages_of(record.get("messages")),
        outcome_of(record.get("outcome")),
        ids=name_of(record.get("id"), "id", 60),
        persona=persona if record.get("persona") is None else persona_of(record["persona"]),
        source=name_of(record.get("source"), "source", 200) or "unknown",
        time=time_of(record.get("time")),
    )
