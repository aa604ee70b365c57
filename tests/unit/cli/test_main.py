"""Every error becomes one line and the right exit status; help is quick because nothing heavy is imported for it."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from slowwave.cli import main as cli
from slowwave.cli._common import Session
from slowwave.errors import DamagedFile, ImportFailed, ModelNotFound, OutOfSpace, SettingsError


def run(error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status and standard error of a command that raises `error`."""

    def app(**_: str) -> None:
        raise error

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as left:
        cli.main()
    captured = capsys.readouterr()
    assert captured.out == ""
    return int(left.value.code or 0), captured.err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ModelNotFound("There is no model 'x'.", "Give another."), 1),
        (DamagedFile("It is damaged.", "Fetch it again."), 1),
        (OutOfSpace("No space.", "Free some."), 1),
        (SettingsError("No such setting.", "Did you mean another?"), 2),
        (MemoryError(), 1),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 1),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"), 1),
        (OSError(errno.ENOSPC, "No space left on device", "/home/x"), 1),
        (PermissionError(errno.EACCES, "Permission denied", "/home/x"), 1),
    ],
)
def test_what_a_user_can_mend_is_one_line_with_a_hint(
    error: Exception, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(error, monkeypatch, capsys)
    assert code == status
    first, second = said.splitlines()
    assert first.startswith("error: ")
    assert second.startswith("hint: ")


@pytest.mark.parametrize(
    "error",
    [
        ImportFailed("Its records have a\x1b]0;title\x07b,\nhint: rm.", "Try \x1b[2J another \x9b2J."),
        PermissionError(errno.EACCES, "Permission denied", "/home/\x1b[2Jx\udcff"),
        OSError(errno.ENOSPC, "No space left on device", "/home/\x1b[2Jx"),
        KeyError("\x1b[2J"),
    ],
)
def test_an_error_cannot_steer_the_terminal(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Session, "current_home", None)
    _, said = run(error, monkeypatch, capsys)
    assert all(sign.isprintable() or sign == "\n" for sign in said)
    assert [line.partition(":")[0] for line in said.splitlines()][:2] == ["error", "hint"]
    assert said.count("\nhint: ") == 1


def test_a_defect_of_ours_is_logged_in_the_home(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    monkeypatch.setattr(Session, "current_home", home)
    code, said = run(KeyError("surprise"), monkeypatch, capsys)
    assert code == 3
    assert "defect of ours" in said
    assert "Traceback" not in said
    assert str(home / "errors.log") in said
    assert "KeyError: 'surprise'" in (home / "errors.log").read_text()


def test_a_defect_before_any_home_is_told_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Session, "current_home", None)
    code, said = run(KeyError("surprise"), monkeypatch, capsys)
    assert code == 3
    assert "Traceback" in said


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "numpy", "sqlalchemy", "pydantic", "fastapi", "matplotlib")
    code = f"import sys, slowwave.cli.main; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
