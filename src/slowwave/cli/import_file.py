"""`slowwave import`: exchanges from a file into the store. What cannot be read is reported, the rest is taken in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption, err

SHOWN = 20  # rejected lines on the screen; --json gives all


def import_file(
    file: Annotated[Path, typer.Argument(help="Exchange JSONL, OpenAI fine-tuning JSONL, conversations.json, ...")],
    format: Annotated[
        str | None, typer.Option("--format", help="exchange, chatgpt, sage, sage-exercises (default: found out)")
    ] = None,
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """Import exchanges. Importing a file twice adds nothing."""
    from slowwave.experience.intake import take_in

    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    session.greet_persona()
    with session.waiting(f"reading {file.name}"):
        taken = take_in(session.store, file, format, session.persona)
    for rejected in [] if as_json else taken.rejected[:SHOWN]:
        err().print(f"line {rejected.line}: {rejected.why}")
    if len(taken.rejected) > SHOWN and not as_json:
        err().print(f"... and {len(taken.rejected) - SHOWN} more; --json lists them all")
    session.answer(
        {
            "imported": taken.imported,
            "duplicates": taken.duplicates,
            "rejected": [asdict(rejected) for rejected in taken.rejected],
        },
        f"{taken.imported} imported, {taken.duplicates} already there, {len(taken.rejected)} rejected.",
    )
