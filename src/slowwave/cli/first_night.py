"""`slowwave first-night`: one whole night on exchanges that ship with the project, shown step by step.

The same commands as on anybody's own days, in one go: import, salience, questions, sleep, the same questions again.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slowwave.cli._common import JsonOption, Session, SetOption, err
from slowwave.cli._progress import phases
from slowwave.cli.ask import answer_all
from slowwave.cli.experiences import in_force, score, table
from slowwave.cli.sleep import sleep_once
from slowwave.plain import printable

if TYPE_CHECKING:
    from rich.table import Table

HOME = "~/.slowwave-first-night"
BELOW = 5  # experiences shown that stay below the threshold
BATCH = 4  # questions asked at once, so that the bar moves
SHOWN_TOKENS, SHOWN_CHARACTERS = 48, 160  # of an answer: as much as the exam reads, and as fits beside another


@dataclass(frozen=True)
class Question:
    """One of the dozen, with what a right answer holds. The night never sees it."""

    question: str
    kind: str  # lesson, near_miss, ordinary
    lesson: str | None  # the experience that teaches it
    any_of: tuple[str, ...]

    def right(self, answer: str) -> bool:
        """By the exam's rules."""
        from slowwave.exam.match import passes
        from slowwave.records import Check

        return passes(answer, Check(any_of=self.any_of))


def first_night(
    home: Annotated[
        Path, typer.Option("--home", help="An empty folder, or the home of an earlier first night.")
    ] = Path(HOME),
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """One whole night on a sample: salience, a dozen questions, sleep, the same questions, the morning report."""
    from slowwave.models.files import atomic_write
    from slowwave.night import history
    from slowwave.night.report import report

    began = time.monotonic()
    session = Session(home, as_json=as_json, flags=flags, persona="default")
    answers = session.home / "first_night_answers.json"
    questions = _questions()
    kept: list[list[str]] = json.loads(answers.read_text(encoding="utf-8")) if answers.exists() else []
    done = [night for night in history.nights(session.home) if night.verdict in ("promoted", "rejected", "skipped")]
    if done and len(kept) == 2:
        err().print(f"The first night of {session.home} is over. To live it again: rm -r {session.home}")
        night = done[0]
    else:
        _take_in(session)
        _show_salience(session)
        if not kept:  # kept before it sleeps: whatever interrupts the rest, they are the answers of the base
            kept = [_ask_before(session, questions)]
            atomic_write(answers, json.dumps(kept, ensure_ascii=False))
        night = done[0] if done else sleep_once(session)
        kept = [kept[0], _ask(session, questions, "questions after")]
        atomic_write(answers, json.dumps(kept, ensure_ascii=False))
    before, after = kept
    rows = [
        {"question": q.question, "kind": q.kind, "before": b, "after": a, "right": [q.right(b), q.right(a)]}
        for q, b, a in zip(questions, before, after, strict=True)
    ]
    seconds = round(time.monotonic() - began, 1)
    data = {**history.summary_json(night), "questions": rows, "seconds_in_all": seconds}
    human = [] if as_json else [report(night), "", _side_by_side(rows), _tally(rows), ""]
    session.answer(
        data,
        *human,
        f"Ask it:  slowwave ask 'What is my dog called?' --home {session.home}",
        f"Undo it: slowwave undo --home {session.home}",
        f"{seconds / 60:.1f} minutes in all. Your own days begin with: slowwave chat",
    )
    if night.exit_code:
        raise typer.Exit(night.exit_code)


def _questions() -> list[Question]:
    text = files("slowwave").joinpath("data/first_night_questions.json").read_text(encoding="utf-8")
    return [Question(**{**row, "any_of": tuple(row["any_of"])}) for row in json.loads(text)]


def _take_in(session: Session) -> None:
    """Import the sample into a home that holds nothing else. An interrupted first night goes on."""
    from slowwave.errors import UsageError
    from slowwave.experience.intake import take_in

    if any(not experience.id.startswith("first-") for experience in session.store.experiences()):
        raise UsageError(f"{session.home} holds a life of its own.", f"Take another --home, e.g. the default {HOME}.")
    with as_file(files("slowwave").joinpath("data/first_night.jsonl")) as path:
        taken = take_in(session.store, path)
    err().print(f"{taken.imported} exchanges imported into {session.home}, {taken.duplicates} already there")


def _show_salience(session: Session) -> None:
    score(session)
    if session.as_json:
        return
    bar = in_force(session)
    by_total = sorted(session.store.experiences("default"), key=lambda e: -(e.salience.total if e.salience else 0))
    chosen = [e for e in by_total if e.salience and e.salience.total >= bar]
    session.answer(
        {},
        "\nWhat mattered most (S surprise, N novelty, A arousal, R reward, C conflict; * reaches the threshold)\n",
        table(by_total[: len(chosen) + BELOW], bar),
        f"\n{len(by_total) - len(chosen)} of {len(by_total)} exchanges stay below the threshold of {bar:.2f}.\n",
    )


def _ask_before(session: Session, questions: list[Question]) -> list[str]:
    from slowwave.errors import UsageError

    serving = session.registry.serving(session.persona)
    if serving.folder is not None:
        raise UsageError(
            f"{serving.name} is served in {session.home}, and its base was not asked before that night.",
            f"Take another --home, or begin again: rm -r {session.home}",
        )
    return _ask(session, questions, "questions before")


def _ask(session: Session, questions: list[Question], phase: str) -> list[str]:
    answers: list[str] = []
    session.served()  # the bar begins when the model is there
    with phases() as progress:
        for start in range(0, len(questions), BATCH):
            part = [question.question for question in questions[start : start + BATCH]]
            answers += answer_all(session, part, SHOWN_TOKENS)[0]
            progress(phase, len(answers), len(questions))
    return answers


def _side_by_side(rows: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    shown = Table("question", "before the night", "after the night", title="The dozen questions", show_lines=True)
    for row in rows:
        before, after = (f"{'+' if right else '-'} {row[when]}" for when, right in zip(
            ("before", "after"), row["right"], strict=True
        ))  # fmt: skip
        shown.add_row(f"{row['question']}\n({row['kind'].replace('_', ' ')})", _short(before), _short(after))
    return shown


def _short(answer: str) -> str:
    text = printable(" ".join(answer.split()))
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _tally(rows: list[dict[str, Any]]) -> str:
    parts = []
    for kind, words in (("lesson", "lessons"), ("near_miss", "near misses"), ("ordinary", "ordinary questions")):
        own = [row["right"] for row in rows if row["kind"] == kind]
        parts.append(f"{words} {sum(b for b, _ in own)} -> {sum(a for _, a in own)} of {len(own)}")
    return "Right answers (+), before -> after: " + ", ".join(parts)
