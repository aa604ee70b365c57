"""`slowwave ask`: questions to the version that is served now. Nothing is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption

MAX_NEW_TOKENS = 128


def ask(
    question: Annotated[str | None, typer.Argument(help="One question.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A text file with one question a line.")] = None,
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """Ask the assistant, without recording anything."""
    from slowwave.errors import UsageError

    if (question is None) == (file is None):
        raise UsageError("Give either a question or --file.", "Example: slowwave ask 'What is your name?'")
    questions = [question] if question is not None else _lines(file)
    if not all(text.strip() for text in questions):
        raise UsageError("The question is empty.", "Example: slowwave ask 'What is your name?'")
    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    session.require_persona()
    answers, version = answer_all(session, questions)
    rows = [{"question": q, "answer": a, "adapter": version} for q, a in zip(questions, answers, strict=True)]
    human = [answers[0]] if file is None else [f"{row['question']}\n    {row['answer']}\n" for row in rows]
    session.answer({"answers": rows}, *human)


def answer_all(session: Session, questions: list[str], max_new_tokens: int = MAX_NEW_TOKENS) -> tuple[list[str], str]:
    """The served version's answers, greedy and each without history, and that version's name."""
    version, adapter = session.served()
    with session.engine.using(adapter):
        replies = session.engine.generate(
            [[{"role": "user", "content": question}] for question in questions], max_new_tokens=max_new_tokens
        )
    return [row[0].text for row in replies], version


def _lines(path: Path | None) -> list[str]:
    from slowwave.errors import NotFound, UsageError

    assert path is not None
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", "Check the path.") from error
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise UsageError(f"{path} is not a text file.", "Give a UTF-8 file with one question a line.") from error
    questions = [line for line in lines if line]
    if not questions:
        raise UsageError(f"{path} holds no question.", "Write one question a line.")
    return questions
