"""The base's own answers: the targets of everything that is to stay as it is, and bodies for the answers to cues."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from slowwave.dream import cues
from slowwave.dream.make import user
from slowwave.dream.settings import DreamSettings
from slowwave.dream.wordings import Answers
from slowwave.records import Scene


def answered(engine: Answers, scenes: list[Scene], settings: DreamSettings, tell: Callable[..., Any]) -> list[Scene]:
    """The scenes with the answers of the version in use where they have none; each question is asked once."""
    open_ = [i for i, s in enumerate(scenes) if s.answer is None or cues.needs_body(s)]
    tokens: dict[str, int] = {}  # by question: the most that any of its scenes needs
    for i in open_:
        text = cues.plain(scenes[i])
        tokens[text] = max(tokens.get(text, 0), _length(scenes[i], settings))
    replies = _replies(engine, tokens, tell)
    out = list(scenes)
    for i in open_:
        own, text = _length(scenes[i], settings), cues.plain(scenes[i])
        reply = replies[text]
        if cues.needs_body(scenes[i]):
            out[i] = cues.with_body(scenes[i], reply.text)
        elif scenes[i].kind != "apply":
            out[i] = replace(scenes[i], answer=reply.text, ended=reply.finish == "stop")
            if tokens[text] > own:
                out[i] = _shortened(out[i], own)
    return cues.enough([s for s in out if s.answer or (s.kind == "apply" and s.answer is None)], settings)


def _replies(engine: Answers, tokens: dict[str, int], tell: Callable[..., Any]) -> dict[str, Any]:
    """Greedy replies by question, those of like length together."""
    asked = sorted(tokens, key=lambda text: tokens[text])
    out: dict[str, Any] = {}
    for first in range(0, len(asked), engine.rows):
        part = asked[first : first + engine.rows]
        found = engine.generate([[user(text)] for text in part], max_new_tokens=tokens[part[-1]], batch=engine.rows)
        out |= {text: row[0] for text, row in zip(part, found, strict=True)}
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
