"""The lease: one sleeper per home, and a number that tells a stale one from the present one.

The kernel's lock on `sleep.lock` belongs to the process and ends with it, however it ends, so there is no age of a
file to guess from. The fencing token covers what a lock cannot: a sleeper that was stopped, whose lock file was
removed or copied, and that wakes up believing it still holds the home. Promotion asks `check` first.
"""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from slowwave.errors import LeaseHeld, NightError

FILE = "sleep.lock"


class Lease:
    """Held from construction until `release`, or until the process dies.

    Attributes:
        token: larger than every earlier lease's of this home.

    Raises:
        LeaseHeld: another process sleeps in this home.
        NightError: the file system knows no locks.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / FILE
        home.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            last = _last(self.path)
            self.token = int(last["token"]) + 1 if last else 1
            self._append({"token": self.token, "pid": os.getpid(), "since": datetime.now(UTC).isoformat()})
        except BlockingIOError as error:
            holder = _last(self.path)
            os.close(self._file)
            who = f" (process {holder['pid']}, since {holder['since']})" if holder else ""
            raise LeaseHeld(f"Somebody else is sleeping in {home}{who}.", "Wait until that night is over.") from error
        except OSError as error:
            os.close(self._file)
            if error.errno == 28:  # ENOSPC, which the conductor tells in its own words
                raise
            raise NightError(f"{self.path} cannot be locked ({error}).", "Put the home on a local disk.") from error

    def check(self) -> None:
        """Make sure that nobody slept here since.

        Raises:
            LeaseHeld: the file is gone, is another file, or holds a later token.
        """
        last = _last(self.path)
        if last is None or last["token"] != self.token or not os.path.samestat(self.path.stat(), os.fstat(self._file)):
            raise LeaseHeld("Another sleeper took over this home.", "Nothing was promoted; sleep again.")

    def release(self) -> None:
        """Let the next sleeper in. The file stays: its last line is the counter."""
        os.close(self._file)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _append(self, line: dict[str, object]) -> None:
        """One line more. A line torn by a crash is ended first, and `_last` skips it."""
        os.write(self._file, b"\n" + json.dumps(line).encode() + b"\n")
        os.fsync(self._file)


def _last(path: Path) -> dict[str, Any] | None:
    """The last whole line, or None. The counter never falls: a torn line's token was used by nobody."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        try:
            return dict(json.loads(line))
        except ValueError:
            continue  # an empty or torn line
    return None
