"""`slowwave sleep`: one night, from what was lived to a verdict and the morning report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption
from slowwave.cli._progress import phases

if TYPE_CHECKING:
    from slowwave.night.history import NightSummary


def sleep(
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """Sleep one night, or finish the one that was interrupted."""
    from slowwave.night import history
    from slowwave.night.report import report

    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    session.require_persona()
    night = sleep_once(session)
    session.answer(history.summary_json(night), *([] if as_json else [report(night)]))
    if night.exit_code:
        raise typer.Exit(night.exit_code)


def sleep_once(session: Session) -> NightSummary:
    """One night of the session's persona, with a progress bar for every phase."""
    from slowwave.config import cache_folder
    from slowwave.night.rooms import ModelRooms
    from slowwave.night.sleep import Sleep

    # A model that was loaded for something else before the night is the night's too: one copy of the weights.
    loaded = {name: session.__dict__.get(name) for name in ("engine", "embedder")}
    with phases() as progress:
        rooms = ModelRooms(session.settings, cache_folder(), **loaded)
        return Sleep(
            session.home, session.store, session.registry, rooms, session.settings, session.persona, progress
        ).run()
