"""`slowwave undo`: serve what was served before a night, bit for bit."""

from __future__ import annotations

from typing import Annotated

import typer

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption


def undo(
    night: Annotated[
        int | None, typer.Argument(help="The night to undo, with all after it (default: the newest).")
    ] = None,
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """Take back a night (and those after it): the version before it is served again."""
    from slowwave.night import history

    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    serving = history.undo(session.home, session.store, session.require_persona(), night)
    session.answer({"serving": serving}, f"Serving {serving} from now on.")
