"""What every verb shares: the options of all commands, the rooms of one home, and the two ways to answer.

Results go to standard output, everything else to standard error; with `--json` standard output is one JSON object.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slowwave.plain import printable

if TYPE_CHECKING:
    from rich.console import Console

    from slowwave.config import Settings
    from slowwave.experience.store import Store
    from slowwave.models.embed import Embedder
    from slowwave.models.engine import Engine
    from slowwave.models.registry import Registry
    from slowwave.night.waking import Waking

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder of everything learned (default: SLOWWAVE_HOME or ~/.slowwave).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting for this call, e.g. learn.lr=1e-4.")
]
PersonaOption = Annotated[
    str | None, typer.Option("--persona", help="Who is meant (default: the setting night.persona).")
]


class Session:
    """One call of the command line: a home, its settings, and its rooms, each opened when first needed."""

    current_home: Path | None = None  # of the running command: where the log of an unexpected error goes

    def __init__(
        self, home: Path | None, *, as_json: bool = False, flags: list[str] | None = None, persona: str | None = None
    ) -> None:
        from slowwave.config import home_folder, load_settings
        from slowwave.errors import UsageError

        self.home = home_folder(home)
        if self.home.exists() and not self.home.is_dir():
            raise UsageError(f"{self.home} is not a folder.", "Give --home a folder, or one that does not exist yet.")
        Session.current_home = self.home
        self.as_json = as_json
        self.settings: Settings = load_settings(self.home, flags or ())
        self.persona = persona or self.settings.night.persona

    @cached_property
    def store(self) -> Store:
        from slowwave.experience.store import Store

        return Store(self.home)

    @cached_property
    def registry(self) -> Registry:
        from slowwave.models.registry import Registry

        return Registry(self.home)

    @cached_property
    def engine(self) -> Engine:
        """The model of the settings, loaded. Takes seconds."""
        from slowwave.config import cache_folder
        from slowwave.models.zoo import resolve

        model = self.settings.model
        folder = resolve(model.name, cache_folder())  # a wrong name is told before seconds go into importing torch
        with self.waiting(f"loading {model.name}"):
            from slowwave.models.engine import Engine

            return Engine.load(folder, device=None if model.device == "auto" else model.device, dtype=model.dtype)

    @cached_property
    def embedder(self) -> Embedder:
        from slowwave.config import cache_folder
        from slowwave.models.zoo import resolve

        folder = resolve("minilm-l6-v2", cache_folder())
        from slowwave.models.embed import Embedder

        return Embedder.load(folder)

    def waking(self, learned: bool = False) -> Waking | None:
        """What the persona has learned since its last night (before it, too, with `learned`), for its prompts; None
        where the settings want none.

        Without the embedding model there is none either, which is told.
        """
        from slowwave.errors import ModelNotFound
        from slowwave.night.waking import Waking

        if not (budget := self.settings.serve.context_tokens):
            return None
        try:
            embedder = self.embedder
        except ModelNotFound as error:
            err().print(f"What is learned by day stays out of the prompt: {error.message} {error.hint}", soft_wrap=True)
            return None
        waking = Waking(self.store, embedder, self.settings.night, budget, learned)
        waking.refresh(self.persona)
        return waking

    def served(self) -> tuple[str, str | None]:
        """The served version, loaded: its name, and the name by which the engine knows it (None for the base).

        Raises DamagedFile if its bytes are not what the night wrote.
        """
        version = self.registry.serving(self.persona)
        if version.folder is None:
            return version.name, None
        self.registry.verify(version.name)
        return version.name, self.engine.load_adapter(version.folder)

    def require_persona(self) -> str:
        """The persona, if the home knows it. Raises NotFound: a misspelt name must not start a new life.

        What may begin a life (`chat`, `teach`, `import`) calls `greet_persona` instead.
        """
        from slowwave.errors import NotFound

        known = self.store.personas()
        if self.persona not in known:
            raise NotFound(f"There is no persona {self.persona!r} in {self.home}.", f"There is: {', '.join(known)}.")
        return self.persona

    def greet_persona(self) -> str:
        """The persona, known or new. A new one that the settings do not name is told: it may be misspelt.

        Raises UsageError for a name that cannot be one.
        """
        from slowwave.models.manifest import check_persona

        known = self.store.personas()
        if check_persona(self.persona) not in known and self.persona != self.settings.night.persona:
            err().print(f"{self.persona!r} begins as a new persona. There is: {', '.join(known)}.", soft_wrap=True)
        return self.persona

    def answer(self, data: dict[str, Any], *human: Any) -> None:
        """Print the result: `data` with `--json`, else the lines or rich tables in `human`."""
        if self.as_json:
            print_json(data)
            return
        console = out()
        for part in human:
            console.print(printable(part) if isinstance(part, str) else part)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A spinner on standard error while something without a measurable end goes on."""
        with err().status(what):
            yield


def print_json(data: dict[str, Any]) -> None:
    """One JSON object on standard output. NaN is not JSON and has no business in a result."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, allow_nan=False, default=str) + "\n")
    sys.stdout.flush()


def out() -> Console:
    """Standard output for a person. Text is never taken for markup: answers may hold square brackets."""
    from rich.console import Console

    return Console(markup=False, highlight=False, soft_wrap=False)


def err() -> Console:
    """Standard error: progress, hints, questions."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False)


def read_line() -> str | None:
    """The next line that the user types, or None at the end of input."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None


def quiet_libraries() -> None:
    """Keep other packages' banners, bars and advice to developers off the screen. What we log stays."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
