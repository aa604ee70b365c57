"""What goes over the wire: the JSON that OpenAI's API defines for answers, chunks and server-sent events.

Knows shapes only; nothing of models, personas or sockets.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"


def event(body: Json) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def usage(prompt: int, completion: int) -> Json:
    """Token counts; `prompt` is counted once, however many choices there are."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


@dataclass(frozen=True)
class Sheet:
    """What every part of one answer repeats: its id, its time, which version gave it, and the hash of that version."""

    model: str
    fingerprint: str
    counted: bool = False  # the client asked for usage in its stream
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, choices: list[tuple[str, str]], counts: Json) -> Json:
        """A whole answer, of (text, finish reason) pairs."""
        return self._body("chat.completion") | {
            "choices": [
                {
                    "index": index,
                    "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": None,
                    "finish_reason": finish,
                }
                for index, (text, finish) in enumerate(choices)
            ],
            "usage": counts,
        }

    def chunk(self, index: int, delta: Json, finish: str | None = None) -> Json:
        """A piece of choice `index`."""
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        body = self._body("chat.completion.chunk") | {"choices": [choice]}
        return body | {"usage": None} if self.counted else body

    def count(self, counts: Json) -> Json:
        """The last chunk of a stream whose client asked for usage."""
        return self._body("chat.completion.chunk") | {"choices": [], "usage": counts}

    def _body(self, kind: str) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }
