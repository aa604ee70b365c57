"""The base's own answers: the targets of everything that is to stay as it is, and bodies for the answers to cues."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from slowwave.dream import cues
from slowwave.dream.settings import DreamSettings
from slowwave.dream.wordings import Answers
from slowwave.records import Scene

_Asked = tuple[tuple[str, str], ...]  # (role, text) of each message


def answered(engine: Answers, scenes: list[Scene], settings: DreamSettings, tell: Callable[..., Any]) -> list[Scene]:
    """The scenes with the answers of the version in use where they have none; each question is asked once."""
    open_ = [i for i, s in enumerate(scenes) if s.answer is None or cues.needs_body(s)]
    tokens: dict[_Asked, int] = {}  # by what is asked: the most that any of its scenes needs
    for i in open_:
        asked = _asked(scenes[i])
        tokens[asked] = max(tokens.get(asked, 0), _length(scenes[i], settings))
    replies = _replies(engine, tokens, tell)
    out = list(scenes)
    for i in open_:
        own, asked = _length(scenes[i], settings), _asked(scenes[i])
        reply = replies[asked]
        if cues.needs_body(scenes[i]):
            out[i] = cues.with_body(scenes[i], reply.text)
        elif not scenes[i].taught:
            out[i] = replace(scenes[i], answer=reply.text, ended=reply.finish == "stop")
            if tokens[asked] > own:
                out[i] = _shortened(out[i], own)
    return cues.enough([s for s in out if s.answer or (s.taught and s.answer is None)], settings)


def _asked(scene: Scene) -> _Asked:
    """Who says what, in turns; of an answer that waits for a body, the message without the cue in place of the last."""
    turns = [(message["role"], message["content"]) for message in scene.messages]
    return (*turns[:-1], ("user", cues.plain(scene)))


def _replies(engine: Answers, tokens: dict[_Asked, int], tell: Callable[..., Any]) -> dict[_Asked, Any]:
    """Greedy replies by what is asked, those of like length together."""
    asked = sorted(tokens, key=lambda one: (tokens[one], sum(len(text) for _, text in one) // 200))
    out: dict[_Asked, Any] = {}
    for first in range(0, len(asked), engine.rows):
        part = asked[first : first + engine.rows]
        chats = [[{"role": role, "content": text} for role, text in one] for one in part]
        found = engine.generate(chats, max_new_tokens=tokens[part[-1]], batch=engine.rows)
        out |= {one: row[0] for one, row in zip(part, found, strict=True)}
        tell("asking the base", len(out), len(asked))
    return out


def _length(scene: Scene, settings: DreamSettings) -> int:
    """Tokens of the base's answer. A lesson that fires where it must not does so in the first of them."""
    if cues.needs_body(scene):
        return settings.answer_tokens * 3 // 2  # must reach a sentence's end
    return settings.near_tokens if scene.kind == "near_miss" and scene.split == "train" else settings.answer_tokens


def _shortened(scene: Scene, tokens: int) -> Scene:
    """The scene with so much of its answer as `tokens` hold, two words in three."""
    answer = scene.answer or ""
    head = re.match(rf"(?:\S+\s+){{0,{max(1, tokens * 2 // 3) - 1}}}\S+", answer)
    return scene if head is None or head.group(0) == answer else replace(scene, answer=head.group(0), ended=False)
