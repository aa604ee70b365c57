"""SAGE's experience buffer: a list of `{id, prompt, response, salience, session, phase, timestamp, metadata}`.

The prompts come from a script and the responses from a small model, so the authority is the assistant's and nothing
is learned from a buffer unless the settings trust it. The recorded salience is a keyword heuristic and is not taken
over: we score it ourselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slowwave.experience.importers.conversation import experiences, name_of, text_of, time_of
from slowwave.records import Experience

SOURCE = "assistant"


def convert(record: dict[str, Any], persona: str) -> Iterator[Experience]:
    """The experience of one record. Raises Broken."""
    turns = [
        {"role": "user", "content": text_of(record.get("prompt"), "the prompt")},
        {"role": "assistant", "content": text_of(record.get("response"), "the response")},
    ]
    return experiences(
        turns,
        ids=name_of(record.get("id"), "id", 60),
        persona=persona,
        source=SOURCE,
        time=time_of(record.get("timestamp")),
    )
