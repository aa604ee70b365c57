"""`slowwave doctor`: is everything there that a night needs, and is everything that was learned still what it was?

Each check says in one line what it found and, where something is wrong, what to do. It changes nothing.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from slowwave.cli._common import HomeOption, JsonOption, Session, SetOption
from slowwave.errors import DamagedFile, SlowwaveError, StoreError
from slowwave.plain import printable

DISK = 2e9  # bytes: the default model in safetensors, a wheel while it is unpacked, a few dozen nights
MEMORY = 4e9  # bytes: a night of the default model on a CPU


@dataclass(frozen=True)
class Finding:
    check: str
    ok: bool
    says: str
    hint: str = ""


def doctor(home: HomeOption = None, as_json: JsonOption = False, flags: SetOption = None) -> None:
    """Check the machine, the model, the store and every served version. Exit status 1 if something is wrong."""
    from rich.table import Table

    session = Session(home, as_json=as_json, flags=flags)
    checks: dict[str, Callable[[Session], str]] = {
        "python": _python,
        "torch": _torch,
        "disk": _disk,
        "memory": _memory,
        "model": _model,
        "embedder": _embedder,
        "store": _store,
        "versions": _versions,
        "sleep": _sleep,
    }
    findings = [_run(name, check, session) for name, check in checks.items()]
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        table.add_row("ok" if finding.ok else "WRONG", finding.check, printable(finding.says))
        if finding.hint:
            table.add_row("", "", printable(finding.hint))
    ok = all(finding.ok for finding in findings)
    session.answer({"ok": ok, "checks": [asdict(finding) for finding in findings]}, table)
    if not ok:
        raise typer.Exit(1)


def _run(name: str, check: Callable[[Session], str], session: Session) -> Finding:
    try:
        return Finding(name, True, check(session))
    except SlowwaveError as error:
        return Finding(name, False, error.message, error.hint)


def _python(_: Session) -> str:
    return f"{sys.version.split()[0]} in {sys.prefix}"


def _torch(_: Session) -> str:
    try:
        import torch
    except (ImportError, OSError) as error:
        raise SlowwaveError(f"torch cannot be loaded: {error}.", "Install it again: pip install torch") from error
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return f"{torch.__version__} on {device}"


def _disk(session: Session) -> str:
    from slowwave.config import cache_folder

    free = {str(folder): shutil.disk_usage(_existing(folder)).free for folder in (session.home, cache_folder())}
    for folder, size in free.items():
        if size < DISK:
            raise SlowwaveError(f"{size / 1e9:.1f} GB are free for {folder}.", f"Free {DISK / 1e9:.0f} GB.")
    return ", ".join(f"{size / 1e9:.0f} GB free for {folder}" for folder, size in free.items())


def _memory(_: Session) -> str:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if total < MEMORY:
        raise SlowwaveError(f"The machine has {total / 1e9:.1f} GB of memory.", f"A night needs {MEMORY / 1e9:.0f} GB.")
    return f"{total / 1e9:.0f} GB"


def _model(session: Session) -> str:
    return _whole_model(session.settings.model.name)


def _embedder(_: Session) -> str:
    return _whole_model("minilm-l6-v2")


def _whole_model(name: str) -> str:
    """That every file of the model has the hash that it had when it was fetched."""
    import json

    from slowwave.config import cache_folder
    from slowwave.models import zoo
    from slowwave.models.files import sha256

    folder = zoo.resolve(name, cache_folder())
    note = folder / zoo.NOTE
    if not note.is_file():
        return f"{name} in {folder} (put there by hand: no hashes to compare)"
    for file, digest in json.loads(note.read_text(encoding="utf-8"))["files"].items():
        if sha256(folder / file) != digest:
            raise DamagedFile(f"{folder / file} is not what was fetched.", f"Run: slowwave models pull {name}")
    return f"{name} in {folder}, hashes right"


def _store(session: Session) -> str:
    path = session.home / "store.sqlite3"
    if not path.exists():
        return "empty: nothing was recorded yet"
    try:
        with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as connection:
            said = connection.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said != "ok":
        raise StoreError(f"{path} is damaged: {said.splitlines()[0]}.", "Restore it from a copy, or move it away.")
    store = session.store
    return f"{len(store.experiences())} experiences, {len(store.lessons())} lessons, integrity ok"


def _versions(session: Session) -> str:
    """That every version is what its night wrote, and that the pointer names the bytes that are there."""
    says = []
    for persona in session.registry.personas():
        for manifest in session.registry.adapters(persona):
            session.registry.verify(manifest.name)
        serving = session.registry.serving(persona)
        if serving.folder is not None:
            session.registry.verify(serving.name)
        says.append(serving.name)
    return f"serving {', '.join(says)}; hashes right" if says else "no night was promoted yet: the base answers"


def _sleep(session: Session) -> str:
    """Whether somebody holds the lease right now, which is no fault."""
    import fcntl

    from slowwave.night import lease

    path = session.home / lease.FILE
    if not path.exists():
        return "nobody sleeps"
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return "a night is going on"
    return "nobody sleeps"


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
