"""ChatGPT's export, `conversations.json`: a list of conversations, each a tree of messages.

Editing a question or regenerating an answer makes a branch; the path from `current_node` up to the root is the one
that the user kept. Only the text of the user and the assistant is taken: no tools, no images, no hidden turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from slowwave.experience.importers.conversation import Broken, experiences, text_of
from slowwave.records import Experience, Message, new_id

SOURCE = "user:chatgpt"  # an export is downloaded by the account's owner, whose words the user turns are


def convert(record: dict[str, Any], persona: str) -> Iterator[Experience]:
    """The experiences of one conversation. Raises Broken."""
    turns: list[Message] = []
    ids: list[str] = []
    for node, message in _kept_path(record):
        text = _text(message)
        if not text:
            continue
        role = message["author"]["role"]
        if turns and turns[-1]["role"] == role:  # an answer in pieces, around a tool call
            turns[-1] = {"role": role, "content": f"{turns[-1]['content']}\n\n{text}"}
            ids[-1] = node
        else:
            turns.append({"role": role, "content": text})
            ids.append(node)
    for number, turn in enumerate(turns, start=1):
        text_of(turn["content"], f"message {number}")
    # The id holds the answer's own id, so that a later export of a conversation that went on adds only what is new.
    made = [new_id("chatgpt", persona, record.get("conversation_id") or record.get("id"), node) for node in ids]
    return experiences(turns, ids=made, persona=persona, source=SOURCE, time=_time(record))


def _kept_path(record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    mapping, node = record.get("mapping"), record.get("current_node")
    if not isinstance(mapping, dict):
        raise Broken("no `mapping` of messages")
    if not isinstance(node, str) or node not in mapping:
        raise Broken("`current_node` is none of its messages")
    path: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    while isinstance(node, str) and node in mapping:
        if node in seen:
            raise Broken("its messages go round in a circle")
        seen.add(node)
        entry = mapping[node]
        if not isinstance(entry, dict):
            raise Broken(f"the entry {node[:40]!r} is no object")
        if isinstance(entry.get("message"), dict):
            path.append((node, entry["message"]))
        node = entry.get("parent")
    return path[::-1]


def _text(message: dict[str, Any]) -> str:
    author, content, about = message.get("author"), message.get("content"), message.get("metadata")
    hidden = isinstance(about, dict) and about.get("is_visually_hidden_from_conversation")
    if hidden or not isinstance(author, dict) or author.get("role") not in ("user", "assistant"):
        return ""
    if not isinstance(content, dict) or content.get("content_type") not in ("text", "multimodal_text"):
        return ""
    if message.get("recipient", "all") != "all" or not isinstance(content.get("parts"), list):
        return ""
    return "\n".join(part for part in content["parts"] if isinstance(part, str)).strip()


def _time(record: dict[str, Any]) -> str | None:
    created = record.get("create_time")
    if created is None:
        return None
    try:
        return datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    except (TypeError, ValueError, OverflowError, OSError):
        raise Broken(f"`create_time` is {created!r}, no time") from None
