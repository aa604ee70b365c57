"""What a client may ask: OpenAI's chat completion request, as far as we act on it.

Fields that we do not know are kept (an upstream may know them) and otherwise ignored; a value that is out of range or
of the wrong type is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slowwave.night.waking import OPENING, reminder
from slowwave.records import Message
from slowwave.serve.faults import Refused

ALIAS = "slowwave"  # the model name that means "whatever is served now"

Stop = Annotated[str, Field(min_length=1, max_length=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class ChatMessage(_Part):
    """One message; `content` may come in parts."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None


class StreamOptions(_Part):
    """Options of a stream."""

    include_usage: bool | None = None


class ChatRequest(_Part):
    """The body of `POST /v1/chat/completions`."""

    messages: list[ChatMessage] = Field(min_length=1)
    model: str = ALIAS
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int | None = Field(default=None, ge=1, le=16)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    user: str | None = None

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return self.n or 1

    @property
    def stops(self) -> tuple[str, ...]:
        """Strings at which an answer ends."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def limit(self) -> int | None:
        """The most tokens an answer may have, if the client says; `max_tokens` is the older name."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def counted(self) -> bool:
        """Whether a stream ends with token counts."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def text(self) -> list[Message]:
        """The messages as plain text, for the chat template and the record; parts that are not text are left out."""
        return [
            {"role": "system" if message.role == "developer" else message.role, "content": _text(message.content)}
            for message in self.messages
        ]

    def reminded(self, notes: Sequence[str]) -> ChatRequest:
        """The same request with notes in its system prompt."""
        if not notes:
            return self
        first, note = self.messages[0], reminder(notes)
        if first.role not in ("system", "developer"):
            messages = [ChatMessage(role="system", content=f"{OPENING} {note}"), *self.messages]
        else:
            if isinstance(first.content, list):
                content: str | list[dict[str, Any]] = [*first.content, {"type": "text", "text": note}]
            else:
                content = f"{first.content or ''}\n\n{note}"
            messages = [first.model_copy(update={"content": content}), *self.messages[1:]]
        return self.model_copy(update={"messages": messages})

    def beyond_text(self) -> int | None:
        """Index of the first message with a part that is not text (an image, a sound)."""
        for index, message in enumerate(self.messages):
            if isinstance(message.content, list) and any(not _is_text(part) for part in message.content):
                return index
        return None


def parse(body: bytes) -> ChatRequest:
    """The request in a body. Raises Refused (400) saying which field is wrong, and how."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        message = f"{where}: {first['msg']}." if where else f"{first['msg']}."
        raise Refused(400, message, "invalid_value", param=where or None) from None


def _is_text(part: dict[str, Any]) -> bool:
    return part.get("type") in ("text", "refusal") and isinstance(part.get(part["type"]), str)


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        return "\n".join(part[part["type"]] for part in content if _is_text(part))
    return content or ""
