"""`slowwave show NIGHT`: the morning report of a night."""

from __future__ import annotations

from typing import Annotated

import typer

from slowwave.cli._common import HomeOption, JsonOption, Session


def show(
    night: Annotated[int, typer.Argument(min=1, help="The night's number.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """The morning report of one night."""
    from slowwave.night import folder, history
    from slowwave.night.report import report

    session = Session(home, as_json=as_json)
    found = history.summary(folder.find(session.home, night))
    session.answer(history.summary_json(found), *([] if as_json else [report(found)]))
