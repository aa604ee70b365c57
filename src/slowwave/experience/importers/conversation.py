"""From one conversation of a file to experiences, and what makes a record broken. Knows no file format."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from slowwave.experience.authority import authority_of
from slowwave.experience.follow_up import follow_up, is_approval
from slowwave.experience.rows import content_id, moment, now
from slowwave.models.manifest import PERSONA
from slowwave.records import Experience, Message, Outcome

# Far beyond what a person types and what the models' contexts hold (8,192 tokens are about 35,000 characters);
# a pasted file of a megabyte would cost minutes to score and teach nothing.
MAX_MESSAGE_CHARACTERS = 100_000
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True)
class Rejected:
    """What could not be imported: the line (in a JSON array: the element), counted from 1, and the reason."""

    line: int
    why: str


class Broken(ValueError):
    """A record that cannot be an experience; the message is the reason."""


def experiences(
    messages: Iterable[Message],
    outcome: Outcome = Outcome(),
    *,
    ids: list[str] | str | None,
    persona: str,
    source: str,
    time: str | None,
) -> Iterator[Experience]:
    """One experience per answer of the assistant; the outcome belongs to the last one. Raises Broken.

    `ids`: one per message, or one for the record, or None for ids made from the content.
    """
    turns = list(messages)
    answers = [
        place
        for place, turn in enumerate(turns)
        if turn["role"] == "assistant" and any(earlier["role"] == "user" for earlier in turns[:place])
    ]
    if not answers:
        raise Broken("no answer of the assistant to a user's message")
    for place in answers:
        followed = turns[place + 1 : place + 2]
        lived = Experience(
            id="",
            persona=persona,
            source=source,
            time=time or now(),
            messages=tuple(turns[: place + 1] + [turn for turn in followed if turn["role"] == "user"]),
            outcome=outcome if place == answers[-1] else Outcome(),
            authority=authority_of(source),
        )
        said = follow_up(lived)
        if said is not None and lived.outcome.rating is None and not lived.outcome.correction and is_approval(said):
            lived = dataclasses.replace(lived, outcome=dataclasses.replace(lived.outcome, rating=1.0))
        if isinstance(ids, list):
            id = ids[place]
        elif ids:
            id = ids if len(answers) == 1 else f"{ids}.{answers.index(place) + 1}"
        else:
            id = content_id(lived, with_time=time is not None)
        yield dataclasses.replace(lived, id=id)


def messages_of(value: Any) -> list[Message]:
    """Checked messages with role and content only; neighbours of the same role are joined. Raises Broken."""
    if not isinstance(value, list) or not value:
        raise Broken("`messages` must be a list of messages" if value is not None else "no `messages`")
    turns: list[Message] = []
    for number, item in enumerate(value, start=1):
        if not isinstance(item, dict):
            raise Broken(f"message {number} is no object")
        role = item.get("role")
        if not isinstance(role, str) or role not in ROLES:
            raise Broken(f"message {number} has the role {_short(role)}; known are system, user and assistant")
        content = text_of(_parts(item.get("content"), number), f"message {number}")
        if turns and turns[-1]["role"] == ROLES[role]:
            turns[-1] = {"role": ROLES[role], "content": f"{turns[-1]['content']}\n\n{content}"}
        else:
            turns.append({"role": ROLES[role], "content": content})
    return turns


def text_of(value: Any, what: str) -> str:
    """A text that is there, not too long, and can be written as UTF-8. Raises Broken."""
    if not isinstance(value, str):
        raise Broken(f"{what} is {'missing' if value is None else 'no text'}")
    if not value.strip():
        raise Broken(f"{what} is empty")
    if len(value) > MAX_MESSAGE_CHARACTERS:
        raise Broken(f"{what} has {len(value):,} characters; at most {MAX_MESSAGE_CHARACTERS:,} are taken")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise Broken(f"{what} holds bytes that are no UTF-8, or half a surrogate pair")
    return value


def outcome_of(value: Any) -> Outcome:
    """Raises Broken for a rating that is no number in [-1, 1], wrong types and unknown names."""
    if value is None:
        return Outcome()
    if not isinstance(value, dict):
        raise Broken("`outcome` is no object")
    unknown = set(value) - {field.name for field in dataclasses.fields(Outcome)}
    if unknown:
        raise Broken(f"`outcome` has no {_short(min(unknown))}; known are rating, correction and tool_ok")
    rating, correction, tool_ok = value.get("rating"), value.get("correction"), value.get("tool_ok")
    if rating is not None:
        if isinstance(rating, bool) or not isinstance(rating, (int, float)):
            raise Broken("the rating is no number")
        if not math.isfinite(rating) or not -1 <= rating <= 1:
            raise Broken(f"the rating is {rating}; it must be between -1 and 1")
    if tool_ok is not None and not isinstance(tool_ok, bool):
        raise Broken("`tool_ok` is neither true nor false")
    correction = None if correction is None else text_of(correction, "the correction")
    return Outcome(None if rating is None else float(rating), correction, tool_ok)


def name_of(value: Any, what: str, limit: int) -> str | None:
    """A short name (an id, a source), or None where there is none. Raises Broken."""
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > limit or not value.isprintable():
        raise Broken(f"`{what}` must be a text of 1 to {limit} printable characters")
    return value


def persona_of(value: Any) -> str:
    """The name of a persona. Raises Broken."""
    if not isinstance(value, str) or not PERSONA.fullmatch(value):
        raise Broken(f"{_short(value)} cannot name a persona (lower-case letters, digits, '-' and '_')")
    return value


def time_of(value: Any) -> str | None:
    """An ISO 8601 time, or None where there is none. Raises Broken."""
    if value is None:
        return None
    try:
        moment(value)
    except (ValueError, TypeError, OverflowError, OSError):
        raise Broken(f"{_short(value)} is no ISO 8601 time") from None
    return str(value)


def _parts(content: Any, number: int) -> Any:
    if not isinstance(content, list):
        return content
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) != len(content) or not all(isinstance(text, str) for text in texts):
        raise Broken(f"message {number} holds parts that are no text")
    return "\n".join(str(text) for text in texts)


def _short(value: Any) -> str:
    return repr(value)[:60]
