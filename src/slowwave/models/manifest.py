"""What a version says about itself: the adapter's manifest.json, and the hash of the base model it stands on.

Standard library only, so that the engine can check an adapter on a bare GPU machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slowwave.errors import DamagedFile, UsageError

MANIFEST = "manifest.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
DIFFERENCE = "difference.safetensors"  # preset `full`: the trained parameters minus the base's

PERSONA = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")  # it becomes a folder's name and part of a version's
_VERSION = re.compile(rf"({PERSONA.pattern})@(?:base|n(\d{{4,}}))")


@dataclass(frozen=True)
class Manifest:
    """One night's adapter. `files` (name: sha256) is filled in by the registry when the version is promoted."""

    persona: str
    night: int
    parent: str  # the version that was served when the night began, "<persona>@base" at first
    preset: str
    base_hash: str
    template_hash: str
    lessons: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    exam: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The version's name: `<persona>@n0007`."""
        return version_name(self.persona, self.night)

    def required_files(self) -> set[str]:
        """The files without which this version cannot be served."""
        return {ADAPTER_CONFIG, ADAPTER_WEIGHTS} | ({DIFFERENCE} if self.preset == "full" else set())

    def to_json(self) -> str:
        """The text of manifest.json."""
        return json.dumps({"name": self.name, **dataclasses.asdict(self)}, indent=2, sort_keys=True) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an adapter's folder. Raises DamagedFile if it is missing or is not one."""
    path = folder / MANIFEST
    hint = "Restore the folder from a copy, or go back a version with `slowwave undo`."
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        name = values.pop("name")
        values["lessons"] = tuple(values["lessons"])
        manifest = Manifest(**values)
        own = manifest.name  # raises for a persona or a night that is none
        parse_version(manifest.parent)
        if not isinstance(manifest.files, dict):
            raise TypeError(manifest.files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedFile(f"{path} is missing or is not an adapter's manifest.", hint) from error
    if own != name or folder.name != name.split("@")[-1]:
        raise DamagedFile(f"{path} belongs to another version ({name}).", hint)
    return manifest


def check_persona(persona: str) -> str:
    """The name itself, if it is one. Persona names become folder names, so nothing else may pass (UsageError)."""
    if not PERSONA.fullmatch(persona):
        raise UsageError(
            f"{persona[:80]!r} is not a persona's name.",
            "Use lower-case letters, digits, _ and -, at most 64, beginning with a letter or digit.",
        )
    return persona


def version_name(persona: str, night: int | None) -> str:
    """`<persona>@n0007`, or `<persona>@base` for no night."""
    check_persona(persona)
    if night is not None and night < 1:
        raise UsageError(f"There is no night {night}.", "Nights are numbered from 1; `slowwave nights` lists them.")
    return f"{persona}@base" if night is None else f"{persona}@n{night:04d}"


def parse_version(name: str) -> tuple[str, int | None]:
    """Persona and night (None for the base) of a version's name. Raises UsageError."""
    match = _VERSION.fullmatch(name)
    if not match:
        raise UsageError(f"{name[:80]!r} is not a version's name.", "Versions are named like default@n0007.")
    return match[1], int(match[2]) if match[2] else None


def base_hash(folder: Path) -> str:
    """Identity of a model's weights: sha256 over its safetensors files, in the order of their names.

    Reads every byte (half a second a gigabyte). Raises DamagedFile if there are no weights.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise DamagedFile(f"{folder} holds no safetensors file.", "Fetch it again with `slowwave models pull`.")
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
