"""Progress bars on standard error. Where that is no terminal, a line per finished phase instead."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from slowwave.cli._common import err

Bytes = Callable[[int, int], None]


@contextmanager
def download_bar(name: str) -> Iterator[Bytes]:
    """A bar for bytes: call it with how many are there and how many there will be (0: unknown)."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(name, total=None)

        def report(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total or None)

        yield report


@contextmanager
def phases() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each phase: call it with the phase, how much is done and how much there is.

    Where standard error is no terminal, a finished phase is one line, so that logs stay readable.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = sys.stderr.isatty()
    with Progress(*columns, console=err(), disable=not shown) as bars:
        tasks: dict[str, TaskID] = {}
        whole: set[str] = set()

        def report(phase: str, done: int, of: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=of)
            bars.update(tasks[phase], completed=done, total=of)
            if not shown and done >= of and phase not in whole:
                whole.add(phase)
                err().print(f"{phase}: {done} of {of}")

        yield report
