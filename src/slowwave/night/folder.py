"""A night's folder: `nights/0007/` holds everything that the night read, made and decided.

Its artifacts are replaced atomically, so each is absent or whole. Knows paths and JSON, and no phase.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from slowwave.errors import DamagedFile, NotFound
from slowwave.models.files import atomic_write, disk_space, publish
from slowwave.night.ledger import Ledger

SETTINGS, LESSONS, SCENES, METRICS = "settings.json", "lessons.json", "scenes.jsonl", "metrics.jsonl"
BEFORE, EXAM, VERDICT, PAGE, UNDONE = "before.json", "exam.json", "verdict.json", "report.html", "undone.json"
JUDGE, PROMPT, TRAINED, DREAMS, ROUNDS = "judge.json", "prompt.json", "trained", "dreams.json", "rounds.jsonl"


class NightFolder:
    """The files of night `number`."""

    def __init__(self, path: Path) -> None:
        self.path, self.number, self.ledger = path, int(path.name), Ledger(path)

    def has(self, name: str) -> bool:
        """Whether the artifact is there."""
        return (self.path / name).is_file()

    def read(self, name: str) -> Any:
        """A JSON artifact, or the list of a JSONL one.

        Raises:
            DamagedFile: missing, or not JSON.
        """
        path = self.path / name
        try:
            text = path.read_text(encoding="utf-8")
            lines = [line for line in text.split("\n") if line]  # splitlines would cut at U+2028 in a message
            return [json.loads(line) for line in lines] if name.endswith(".jsonl") else json.loads(text)
        except (OSError, ValueError) as error:
            raise DamagedFile(f"{path} is missing or unreadable ({error}).", "Restore it from a copy.") from error

    def write(self, name: str, value: Any) -> str:
        """Replace an artifact (JSON; JSONL from a list; HTML from text); returns its name. Raises OutOfSpace."""
        if name.endswith(".jsonl"):
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in value)
        elif name.endswith(".json"):
            text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        else:
            text = value
        atomic_write(self.path / name, text)
        return name

    def files_of(self, folder: str) -> list[str]:
        """Every file under a folder of the night, as artifact names."""
        root = self.path / folder
        return sorted(path.relative_to(self.path).as_posix() for path in root.rglob("*") if path.is_file())

    def clear(self, folder: str) -> Path:
        """An empty folder of that name."""
        path = self.path / folder
        if path.exists():
            shutil.rmtree(path)
        with disk_space(path):
            path.mkdir()
        return path

    @property
    def closed(self) -> bool:
        """Whether the night ended, well or not."""
        return any(entry.phase == "report" for entry in self.ledger.entries())

    @property
    def persona(self) -> str:
        """Whose night it is."""
        return str(self.read(SETTINGS)["persona"])


def folders(home: Path) -> list[NightFolder]:
    """Every night's folder, oldest first."""
    found = [NightFolder(path) for path in (home / "nights").glob("[0-9]*") if path.is_dir() and path.name.isdigit()]
    return sorted(found, key=lambda night: night.number)


def find(home: Path, number: int) -> NightFolder:
    """The folder of one night. Raises NotFound."""
    for night in folders(home):
        if night.number == number:
            return night
    raise NotFound(f"There is no night {number}.", "`slowwave nights` lists them.")


def create(home: Path, settings: dict[str, Any]) -> NightFolder:
    """The next night's folder, which appears with its settings in it. Only the holder of the lease may call this.

    The number is above every night and every adapter of any persona, so that none is ever used twice.
    """
    nights = home / "nights"
    taken = [night.number for night in folders(home)]
    taken += [int(version.name[1:]) for version in home.glob("personas/*/adapters/n*") if version.name[1:].isdigit()]
    number = max(taken, default=0) + 1
    with disk_space(nights):
        nights.mkdir(parents=True, exist_ok=True)
        for left in nights.glob(".new-*"):
            shutil.rmtree(left)  # begun by a sleeper that died; it never had a number
        stage = Path(tempfile.mkdtemp(dir=nights, prefix=".new-"))
        atomic_write(stage / SETTINGS, json.dumps({"night": number, **settings}, indent=1) + "\n")
        publish(stage, nights / f"{number:04d}")
    return NightFolder(nights / f"{number:04d}")
