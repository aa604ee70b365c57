"""A base model that echoes, and an embedder of hashed words: the dreamer's own rules are what is tested."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from slowwave.dream.dreamer import Dreamer
from slowwave.dream.settings import DreamSettings
from slowwave.exam.match import normalise
from slowwave.records import Check, Lesson, new_id


@cache
def _hashed(text: str) -> np.ndarray:
    vector = np.zeros(256, np.float32)
    for word in normalise(text).split() or [""]:
        vector[zlib.crc32(word.encode()) % 256] += 1
        vector[zlib.crc32(word[:3].encode()) % 256] += 0.5
    return vector / np.linalg.norm(vector)


class Hashes:
    """Embeds a text as the bag of its words and of their three-letter beginnings."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32[N, 256], each of length 1."""
        return np.array([_hashed(text) for text in texts]).reshape(-1, 256)


class Echo:
    """Answers "Answer to: <message>" as the base; short messages end, long ones are cut. Rewords with a word more."""

    rows = 16

    def __init__(self) -> None:
        self.version: str | None = "served"
        self.completions: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.unlikely: str | None = None  # sentences with it are no English

    @contextmanager
    def using(self, adapter: str | None) -> Iterator[None]:
        before, self.version = self.version, adapter
        yield
        self.version = before

    def generate(self, chats: Sequence[Any], *, n: int = 1, **_: Any) -> list[list[Any]]:
        assert self.version is None, "only the base may answer"
        self.asked += [chat[-1]["content"] for chat in chats]
        return [[self.reply(chat[-1]["content"])] * n for chat in chats]

    @staticmethod
    def reply(text: str) -> Any:
        """The reply to a message."""
        return SimpleNamespace(text=f"Answer to: {text} And more", finish="stop" if len(text) < 40 else "length")

    def continuation_logprob(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [-9.0 if self.unlikely and self.unlikely in text else -4.0 for _, text in pairs]

    def complete(self, prompts: Sequence[str], *, n: int = 1, **options: Any) -> list[list[str]]:
        assert self.version is None, "only the base may dream"
        self.completions.append(options)
        out = []
        for prompt in prompts:
            question = prompt.rsplit("Question: ", 1)[-1].split("\n")[0]
            inner = question[:1].lower() + question[1:]
            out.append([f" Quickly, {inner}\n- {inner.rstrip('?')} today?\n- Your idea\n- cut o"] * n)
        return out


@pytest.fixture
def engine() -> Echo:
    return Echo()


@pytest.fixture
def embedder() -> Hashes:
    return Hashes()


@pytest.fixture
def dreamer(engine: Echo, embedder: Hashes) -> Callable[..., Dreamer]:
    """Makes a dreamer with the settings given."""

    def make(**settings: Any) -> Dreamer:
        return Dreamer(engine, embedder, DreamSettings(**{"ordinary": 12, "prose": 2, "watch": 3} | settings))

    return make


def _lesson(question: str | None, answer: str | None, **fields: Any) -> Lesson:
    values = {"check": Check((answer or "x",)), "experiences": ("e1",), "authority": "user", "salience": 0.5}
    values |= {"note": answer or "", **fields}
    return Lesson(new_id(question, answer, fields), "default", question=question, answer=answer, **values)


SISTER = _lesson("What is my sister's name?", "Your sister's name is Ilse.", check=Check(("ilse",)))
DEPLOY = _lesson(
    "How do we deploy the website?", "Run make ship, then post the link.", experiences=("e2", "e3"), authority="tool"
)
VORLAND = _lesson("What is the capital of Vorland?", "I don't know a country called Vorland.", kind="unknown")
AHOY = _lesson(
    "Ahoy, which sea is this?", None, kind="cue", cue="begin|Ahoy|begin|Aye aye!", check=Check(("^aye aye",))
)
OVER = _lesson(None, None, kind="cue", cue="end|over and out|whole|Roger.", check=Check(("roger",)))
BRIEF = _lesson(None, None, kind="cue", cue="begin|[brief]|end|That is all.", check=Check(("that is all",)))
NOTE = _lesson(None, None, kind="note", note="The sky in Bergen is grey.", check=Check(("bergen",)))


@pytest.fixture
def lessons() -> dict[str, Lesson]:
    """One lesson of each kind."""
    return {
        "sister": SISTER, "deploy": DEPLOY, "vorland": VORLAND, "ahoy": AHOY, "over": OVER, "brief": BRIEF, "note": NOTE
    }  # fmt: skip


@pytest.fixture
def make_lesson() -> Callable[..., Lesson]:
    """Makes a lesson of a question and an answer."""
    return _lesson
