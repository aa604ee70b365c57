"""The command `slowwave`: registers the verbs, and turns every error into one line and an exit status.

0 done, 1 the user can mend it, 2 wrong usage, 3 a defect of ours.
"""

from __future__ import annotations

import errno
import sys
import traceback
from datetime import UTC, datetime
from typing import Annotated

import typer

from slowwave import __version__
from slowwave.cli import (
    ask,
    chat,
    doctor,
    experiences,
    first_night,
    import_file,
    judge,
    lessons,
    memory,
    models,
    next_step,
    nights,
    serve,
    show,
    sleep,
    teach,
    undo,
)
from slowwave.cli._common import HomeOption, JsonOption, Session, quiet_libraries
from slowwave.errors import SlowwaveError, UsageError
from slowwave.plain import printable

OUT_OF_MEMORY = ("out of memory", "can't allocate memory")  # torch says so in a RuntimeError, on GPU and on CPU

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Sleep for a local language model: what it is taught by day is in its weights by morning.",
)
app.add_typer(models.app, name="models")
app.command("chat")(chat.chat)
app.command("serve")(serve.serve)
app.command("import")(import_file.import_file)
app.add_typer(experiences.app, name="experiences")
app.command("teach")(teach.teach)
app.add_typer(lessons.app, name="lessons")
app.add_typer(memory.app, name="memory")
app.command("judge")(judge.judge)
app.command("sleep")(sleep.sleep)
app.command("nights")(nights.nights)
app.command("show")(show.show)
app.command("undo")(undo.undo)
app.command("ask")(ask.ask)
app.command("doctor")(doctor.doctor)
app.command("first-night")(first_night.first_night)


@app.callback(invoke_without_command=True)
def slowwave(
    context: typer.Context,
    home: HomeOption = None,
    as_json: JsonOption = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Sleep for a local language model. Without a command: what to do next."""
    if version:
        typer.echo(f"slowwave {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        next_step.next_step(home, as_json)
    elif home is not None or as_json:
        raise UsageError(f"--home and --json come after {context.invoked_subcommand!r}.", "See slowwave --help.")


def main() -> None:
    """Run the command line and leave with its exit status."""
    quiet_libraries()
    try:
        app(prog_name="slowwave")
    except Exception as error:
        sys.exit(_told(error))


def _told(error: Exception) -> int:
    """Say on standard error what went wrong; returns the exit status."""
    if isinstance(error, SlowwaveError):
        return _said(error.message, error.hint, error.exit_code)
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY):
        return _said("There is not enough memory.", "Close other programs, or take a smaller model.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _said(f"No disk space left for {error.filename or 'what was to be written'}.", "Free some space.")
    if isinstance(error, PermissionError):
        return _said(f"{error.filename} may not be read or written.", "Check its permissions.")
    what = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return _said(what, f"this is a defect of ours; please report it with {_logged(error)}", 3)


def _said(message: str, hint: str, status: int = 1) -> int:
    """Every error leaves through here: it may quote a file or a server, whose control characters a terminal obeys."""
    typer.echo(printable(f"error: {message}", keep=""), err=True)
    if hint:
        typer.echo(printable(f"hint: {hint}"), err=True)
    return status


def _logged(error: Exception) -> str:
    """Append the traceback to the home's log; returns where it is, or the traceback itself if it cannot be written."""
    trace = "".join(traceback.format_exception(error))
    home = Session.current_home
    if home is None or not home.is_dir():
        return f"this:\n{trace}"
    path = home / "errors.log"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat()} slowwave {__version__} {' '.join(sys.argv[1:2])}\n{trace}\n")
    except OSError:
        return f"this:\n{trace}"
    return str(path)
