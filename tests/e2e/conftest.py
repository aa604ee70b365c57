"""The installed command as a user runs it: a process of its own, an empty home directory, no terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

INSTALLED = Path(sys.executable).with_name("slowwave")
COMMAND = [str(INSTALLED)] if INSTALLED.exists() else [sys.executable, "-m", "slowwave"]


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on standard output."""
        return json.loads(self.out)


Slowwave = Callable[..., Done]


def environment(tmp: Path, cache: Path) -> dict[str, str]:
    """A user's environment with nothing of ours in it."""
    (tmp / "nobody").mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLOWWAVE_")}
    return kept | {
        "HOME": str(tmp / "nobody"),
        "SLOWWAVE_HOME": str(tmp / "home"),
        "SLOWWAVE_CACHE": str(cache),
        "COLUMNS": "160",
    }


def runner(tmp: Path, cache: Path) -> Slowwave:
    """`slowwave(*arguments)` in `tmp`. It never leaves a traceback on the screen."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> Done:
        ended = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment(tmp, cache) | variables,
            cwd=tmp,
            timeout=900,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return Done(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def command(cache: Path) -> Callable[..., tuple[list[str], dict[str, str]]]:
    """Words and environment of the command in a folder, for a process that a test starts itself."""
    return lambda folder, *arguments: ([*COMMAND, *arguments], environment(folder, cache))


@pytest.fixture(scope="session")
def slowwave_in(cache: Path) -> Callable[[Path], Slowwave]:
    """The command for any folder; its home is `home` in there."""
    return lambda folder: runner(folder, cache)


@pytest.fixture
def slowwave(tmp_path: Path, cache: Path) -> Slowwave:
    """The command with a fresh home."""
    return runner(tmp_path, cache)
