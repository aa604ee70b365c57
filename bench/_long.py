"""Lessons whose sense depends on a long context, and facts to be found in one: what frozen contexts may lose.

A log of a day's work, and what is asked of it: the answer stands in the log, and which line it is was never said but in
the lesson ("'Status?' asks for the code of the last failure"). The needle: a sentence in a long plain text, at a tenth,
a half and nine tenths of it, and the nats a token of the right answer to a question about it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from slowwave.exam.panel import Panel
from slowwave.learn.decision import Decision
from slowwave.models.chat import header_length, prompt_ids, reply_ids

NAMES = ("Ines", "Tomas", "Wanja", "Priya", "Jonas", "Amara", "Felix", "Noor")
WORK = ("build", "backup", "import", "sync", "report", "upload", "index", "audit")
PLACES = (0.1, 0.5, 0.9)
LESSONS = {  # how it is asked for: while training, and in other words afterwards
    "failure": (
        ("Status?", "What broke?", "Give me the failure code."),
        ("Which code failed?", "Status report, please."),
    ),
    "owner": (("Who has it now?", "Whose turn is it?", "Name the owner."), ("Who owns this?", "Whose job is it now?")),
}


def _log(draw: random.Random, tokens: int) -> tuple[str, dict[str, str]]:
    """A log of about so many tokens, and the answer of each lesson to it: the last of several candidates."""
    count = max(4, tokens // 12)
    lines, answer = [], {}
    marked = sorted(draw.sample(range(count), 4))
    for place in range(count):
        task = draw.choice(WORK)
        if place in marked[::2]:
            code = f"E{draw.randrange(100, 1000)}"
            lines.append(f"{task} failed with {code}")
            answer["failure"] = f"The failure is {code}."
        elif place in marked[1::2]:
            name = draw.choice(NAMES)
            lines.append(f"{task} was handed to {name}")
            answer["owner"] = f"It is with {name}."
        else:
            lines.append(f"{task} {draw.randrange(10, 100)} ok")
    return "\n".join(lines), answer


def scenes(count: int, tokens: int, *, held_out: bool, seed: int) -> list[tuple[str, str]]:
    """(question after its log, answer), `count` for each lesson; other logs and other words where held out."""
    draw = random.Random(f"{seed} {held_out}")
    out = []
    for lesson, wordings in LESSONS.items():
        for i in range(count):
            log, answers = _log(draw, tokens)
            asked = wordings[held_out]
            out.append((f"{log}\n\n{asked[i % len(asked)]}", answers[lesson]))
    return out


def decisions(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> list[Decision]:
    """The scenes as lessons to train on."""
    header = max(1, header_length(tokenizer))
    context = lambda text: tuple(prompt_ids(tokenizer, [{"role": "user", "content": text}]))  # noqa: E731
    return [Decision(context(text), tuple(reply_ids(tokenizer, answer)), header=header) for text, answer in pairs]


def answered(engine: Any, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Of each scene, whether the answer names what the log says."""
    chats = [[{"role": "user", "content": text}] for text, _ in pairs]
    said = engine.generate(chats, max_new_tokens=16, batch=8)
    wanted = [answer.rstrip(".").split()[-1] for _, answer in pairs]
    return [float(word in row[0].text) for row, word in zip(said, wanted, strict=True)]


def needles(engine: Any, count: int, tokens: int) -> dict[str, list[float]]:
    """By place, nats a token of the right answer to a question about a sentence in a text of so many tokens."""
    draw = random.Random(0)
    passages = Panel.load().plain_text
    out: dict[str, list[float]] = {}
    for place in PLACES:
        chats = []
        for _ in range(count):
            code = f"{draw.choice(WORK)}-{draw.randrange(100, 1000)}"
            parts: list[str] = []
            room = tokens
            while room > 0:
                part = draw.choice(passages)
                room -= len(engine.tokenizer(part)["input_ids"])
                parts.append(part)
            parts.insert(round(place * len(parts)), f"The code word of the harbour office is {code}.")
            text = "\n\n".join(parts) + "\n\nWhat is the code word of the harbour office?"
            chats.append(([{"role": "user", "content": text}], f"The code word of the harbour office is {code}."))
        scored = [engine.score([one])[0] for one in chats]  # one at a time: long
        out[f"{place:.0%}"] = [float(score.nll.mean()) for score in scored]
    return out
