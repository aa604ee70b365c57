"""Which version of each persona answers: adapters on disk and the one pointer that says which is served.

`personas/<persona>/adapters/n0007/` is immutable once it has that name; `personas/<persona>/serving.json` is the
pointer, and replacing it is the commit point of a night and of an undo. Knows nothing of tensors, stores or leases.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slowwave.errors import DamagedFile, NightError, NotFound
from slowwave.models.files import atomic_write, discard, disk_space, locked, publish, sha256
from slowwave.models.manifest import (
    ADAPTER_WEIGHTS,
    MANIFEST,
    PERSONA,
    Manifest,
    check_persona,
    parse_version,
    read_manifest,
    version_name,
)

_STAGE = ".stage-"


@dataclass(frozen=True)
class ServingVersion:
    """The version that answers. `folder` and `sha256` (of adapter_model.safetensors) are None for the base."""

    name: str
    folder: Path | None
    sha256: str | None


class Registry:
    """The versions of every persona under one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = Path(home)

    # Reading

    def personas(self) -> list[str]:
        """Names of the personas that have a folder here. A folder beside them (`default.bak`) is nobody's."""
        folders = (self.home / "personas").glob("*")
        return sorted(folder.name for folder in folders if PERSONA.fullmatch(folder.name) and folder.is_dir())

    def serving(self, persona: str) -> ServingVersion:
        """Which version answers for `persona`; its base if no night was ever promoted.

        Cheap enough to ask at every turn: it does not hash (`verify` does).
        Raises DamagedFile if the pointer cannot be read or what it names is gone: the base would be a wrong answer.
        """
        version = self._pointer(persona)
        if version.folder is not None:
            for name in (ADAPTER_WEIGHTS, MANIFEST):
                if not (version.folder / name).is_file():
                    raise DamagedFile(
                        f"{version.name} is to be served, but {version.folder / name} is gone.",
                        "Restore it from a copy, or go back a version with `slowwave undo`.",
                    )
        return version

    def adapters(self, persona: str) -> list[Manifest]:
        """The versions that were ever served and still exist, oldest first."""
        served = self._ever_served(persona)
        folders = sorted(self._adapters(persona).glob("n*"), key=lambda folder: (len(folder.name), folder.name))
        return [read_manifest(folder) for folder in folders if f"{persona}@{folder.name}" in served]

    def folder(self, name: str) -> Path | None:
        """Where the version `name` lies; None for a base. Raises UsageError if it is no version's name."""
        persona, night = parse_version(name)
        return None if night is None else self._adapters(persona) / f"n{night:04d}"

    def verify(self, name: str) -> None:
        """Hash every file of the version `name` and compare with its manifest. Raises DamagedFile, NotFound."""
        folder = self.folder(name)
        if folder is None:
            return
        if not folder.is_dir():
            raise NotFound(f"There is no version {name}.", "`slowwave nights` lists them.")
        manifest = read_manifest(folder)
        for file in sorted(manifest.required_files() | manifest.files.keys()):
            path = folder / file
            if not path.is_file() or sha256(path) != manifest.files.get(file):
                raise DamagedFile(
                    f"{path} is missing or is not what night {manifest.night} wrote.",
                    "Restore it from a copy, or go back a version with `slowwave undo`.",
                )

    def history(self, persona: str) -> list[dict[str, Any]]:
        """Every change of the pointer, oldest first: `{"time", "action", "from", "to"}`. Raises DamagedFile."""
        path = self._home(persona) / "history.jsonl"
        try:
            changes = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            for change in changes:
                if change["action"] not in ("promote", "undo"):
                    raise ValueError(change["action"])
                for end in ("from", "to"):
                    parse_version(change[end])
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFile(f"{path} is not readable.", "Restore it from a copy, or move it away.") from error
        return changes

    def lineage(self, persona: str) -> list[str]:
        """The served version, the one it was learned on, and so on to the base.

        Known from the history even where a folder vanished, so that an undo can leave a damaged version behind.
        """
        before = {change["to"]: change["from"] for change in self.history(persona) if change["action"] == "promote"}
        lineage = [self._pointer(persona).name]
        while (folder := self.folder(lineage[-1])) is not None:
            lineage.append(before.get(lineage[-1]) or read_manifest(folder).parent)
        return lineage

    # Changing

    def stage(self, persona: str, night: int) -> Path:
        """A fresh folder for the files of a night's adapter, beside the versions it may join.

        Only the holder of the lease calls this, so whatever else is staged for the persona was left by the dead.
        """
        adapters = self._adapters(persona)
        name = version_name(persona, night).split("@")[1]
        with disk_space(adapters):
            adapters.mkdir(parents=True, exist_ok=True)
            for left in [*adapters.glob(f"{_STAGE}*"), *adapters.glob(".discarded-*")]:
                discard(left)
            return Path(tempfile.mkdtemp(dir=adapters, prefix=f"{_STAGE}{name}-"))

    def promote(self, staged: Path, manifest: Manifest, check: Callable[[], None]) -> str:
        """Serve what lies in `staged` from now on; returns the version's name.

        The old version is served until the very last step, the new one, whole, after it. Safe to repeat with the
        same arguments after a crash at any point. `check` is called when nothing but the pointer is left to change;
        if it raises, the pointer stays.

        Raises:
            DamagedFile: a file of the version is missing.
            NightError: the version exists and was served, or its parent is not what is served now.
            OutOfSpace: nothing changed.
        """
        persona, name = manifest.persona, manifest.name
        final = self._adapters(persona) / name.split("@")[1]
        with self._locked(persona), disk_space(final):
            before = self._pointer(persona).name
            if before == name and not staged.exists():
                self._record(persona, "promote", manifest.parent, name)  # we were killed right after the commit
                return name
            if name in self._ever_served(persona):
                raise NightError(f"{name} was served before and cannot change.", "Sleep again, as a new night.")
            if before != manifest.parent:
                raise NightError(
                    f"{name} was learned on top of {manifest.parent}, but {before} is served now.", "Sleep again."
                )
            if staged.exists():
                self._seal(staged, manifest)
                discard(final)  # published by a run that died before it could be served
                publish(staged, final)
            self.verify(name)
            check()
            self._point(persona, "promote", before, name)
        return name

    def undo(self, persona: str, night: int | None = None) -> ServingVersion:
        """Serve what was served before `night` (the newest, if None) was promoted, bit for bit.

        Raises:
            NightError: nothing to undo, or that night is no part of what is served.
            DamagedFile: the older version's bytes are no longer what they were; the pointer stays.
        """
        with self._locked(persona):
            current = self._pointer(persona).name
            if parse_version(current)[1] is None:
                raise NightError(f"{current} is served: there is no night to undo.", "See `slowwave nights`.")
            undone = current if night is None else version_name(persona, night)
            lineage = self.lineage(persona)
            if undone not in lineage:
                raise NightError(
                    f"Night {night} is no part of {current}, which is served.", "`slowwave nights` shows which are."
                )
            target = lineage[lineage.index(undone) + 1]
            self.verify(target)
            self._point(persona, "undo", current, target)
            return self._pointer(persona)

    # Inside

    def _home(self, persona: str) -> Path:
        return self.home / "personas" / check_persona(persona)

    def _adapters(self, persona: str) -> Path:
        return self._home(persona) / "adapters"

    def _locked(self, persona: str) -> AbstractContextManager[None]:
        """One change of a persona's pointer at a time (an undo may come while a night promotes)."""
        return locked(self._home(persona) / ".pointer.lock")

    def _pointer(self, persona: str) -> ServingVersion:
        path = self._home(persona) / "serving.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            name, digest = values["adapter"], values["sha256"]
            if parse_version(name)[0] != persona:
                raise ValueError(name)
            return ServingVersion(name, self.folder(name), digest)
        except FileNotFoundError:
            return ServingVersion(version_name(persona, None), None, None)
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFile(
                f"{path} does not say which version is served.", f"Restore it; {path.parent}/history.jsonl tells."
            ) from error

    def _seal(self, staged: Path, manifest: Manifest) -> None:
        """Write manifest.json with the hash of every other file in the folder."""
        names = sorted(path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file())
        files = {name: sha256(staged / name) for name in names if name != MANIFEST}
        missing = manifest.required_files() - files.keys()
        if missing:
            raise DamagedFile(f"The night left no {', '.join(sorted(missing))} in {staged}.", "Sleep again.")
        atomic_write(staged / MANIFEST, dataclasses.replace(manifest, files=files).to_json())

    def _point(self, persona: str, action: str, before: str, after: str) -> None:
        folder = self.folder(after)
        digest = None if folder is None else read_manifest(folder).files[ADAPTER_WEIGHTS]
        pointer = json.dumps({"adapter": after, "sha256": digest}) + "\n"
        atomic_write(self._home(persona) / "serving.json", pointer)  # the commit point
        self._record(persona, action, before, after)

    def _record(self, persona: str, action: str, before: str, after: str) -> None:
        """Append to the history; it is small, so it is rewritten whole and can never end in half a line."""
        history = self.history(persona)
        change = {"action": action, "from": before, "to": after}
        if history and {key: history[-1][key] for key in change} == change:
            return  # a repeated promotion
        history.append({"time": datetime.now(UTC).isoformat(timespec="seconds"), **change})
        lines = "".join(json.dumps(entry) + "\n" for entry in history)
        atomic_write(self._home(persona) / "history.jsonl", lines)

    def _ever_served(self, persona: str) -> set[str]:
        """Names of all versions that were served. The last change may be missing from the history after a crash."""
        changes = self.history(persona)
        return {self._pointer(persona).name} | {change[end] for change in changes for end in ("from", "to")}
