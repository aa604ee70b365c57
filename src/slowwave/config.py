"""One tree of settings: defaults, then `<home>/slowwave.toml`, then the environment, then flags.

Each section is a frozen dataclass or model that lives with the code that it steers; this file only joins them. It knows
where a value came from, so that an error can say which of the four to mend.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from slowwave.dream.settings import DreamSettings
from slowwave.errors import SettingsError
from slowwave.exam.settings import ExamSettings
from slowwave.experience.salience import SalienceSettings
from slowwave.learn.settings import LearnSettings, Preset, preset
from slowwave.models.manifest import PERSONA

FILE_NAME = "slowwave.toml"
PREFIX = "SLOWWAVE_"

Values = dict[str, Any]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class ModelSettings(Section):
    """Which model answers and learns."""

    name: Annotated[str, Field(min_length=1, description="default name, local folder, .gguf file or hub id")] = (
        "smollm2-135m-instruct"
    )
    device: Annotated[str, Field(description="auto, cpu, cuda, cuda:1, mps")] = "auto"
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"], Field(description="precision of the weights in memory")
    ] = "auto"


class NightSettings(Section):
    """What one sleep may take in, and how long it may last."""

    persona: Annotated[
        str, Field(pattern=f"^{PERSONA.pattern}$", description="who lives and sleeps when nobody is named")
    ] = "default"
    max_lessons: Annotated[int, Field(ge=1, le=500, description="lessons learned in one night at most")] = 24
    max_minutes: Annotated[
        float, Field(gt=0, le=1440, description="minutes after which training stops and what was learned is examined")
    ] = 60.0
    attempts: Annotated[
        int, Field(ge=1, le=10, description="nights after which a lesson that was not learned is left alone")
    ] = 3
    require_approval: Annotated[bool, Field(description="learn only lessons that a person has approved")] = False
    permitted: Annotated[
        tuple[Literal["user", "tool", "unknown"], ...],
        Field(min_length=1, description="whose records may be learned from; never the model's own"),
    ] = ("user",)


class ServeSettings(Section):
    """The OpenAI-compatible server, and what is in the prompt by day."""

    host: Annotated[str, Field(min_length=1, description="address to listen on; beyond loopback a key is required")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Field(ge=0, le=65535, description="TCP port; 0 takes a free one")] = 8642
    context_tokens: Annotated[
        int,
        Field(
            ge=0, le=4096, description="tokens of what no night has learned yet that a turn's prompt may take; 0: none"
        ),
    ] = 200
    upstream: Annotated[
        str, Field(pattern=r"^(https?://.+)?$", description="OpenAI-compatible endpoint to forward to; empty: none")
    ] = ""


class Settings(BaseSettings):
    """Every setting, by section. Build it with `load_settings`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", protected_namespaces=()
    )

    model: ModelSettings = ModelSettings()
    night: NightSettings = NightSettings()
    salience: SalienceSettings = SalienceSettings()
    dream: DreamSettings = DreamSettings()
    learn: LearnSettings = LearnSettings()
    exam: ExamSettings = ExamSettings()
    serve: ServeSettings = ServeSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` hands over: it merges file, environment and flags, and knows each one's name."""
        return (init_settings,)


def home_folder(given: Path | str | None = None) -> Path:
    """The folder of everything a user owns: `--home`, else `SLOWWAVE_HOME`, else `~/.slowwave`."""
    return Path(given or os.environ.get("SLOWWAVE_HOME") or "~/.slowwave").expanduser().absolute()


def cache_folder() -> Path:
    """The folder of what can be fetched again: `SLOWWAVE_CACHE`, else `slowwave` in the user's cache."""
    if given := os.environ.get("SLOWWAVE_CACHE"):
        return Path(given).expanduser().absolute()
    return (Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "slowwave").expanduser().absolute()


def load_settings(home: Path, flags: Sequence[str] = ()) -> Settings:
    """The settings in force for a home.

    Args:
        home: folder whose `slowwave.toml` is read if it is there.
        flags: `section.key=value` strings; the value is read as TOML, and as plain text where it is not TOML.

    Raises:
        SettingsError: a file that is not TOML, a key that does not exist, a value outside its bounds.
    """
    sources = {
        FILE_NAME: _from_file(home / FILE_NAME),
        "environment": _from_environment(),
        "--set": _from_flags(flags),
    }
    merged: Values = {}
    for source, values in sources.items():
        for section, body in values.items():
            _refuse_unknown(section, body, source)
            merged.setdefault(section, {}).update(body)
    learn = merged.get("learn", {})
    if learn.get("preset") in get_args(Preset):  # a preset is a set of defaults: single values still win over it
        merged["learn"] = dataclasses.asdict(preset(learn["preset"])) | learn
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise _as_settings_error(error, sources) from error


def keys() -> Iterator[str]:
    """Every setting's dotted name."""
    for section in Settings.model_fields:
        yield from (f"{section}.{name}" for name in section_fields(section))


def section_fields(section: str) -> list[str]:
    """The names of one section's settings."""
    kind = Settings.model_fields[section].annotation
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _from_file(path: Path) -> Values:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}.", "Mend or remove the file.") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error


def _from_environment() -> Values:
    for name in os.environ:  # the source below passes over names of no section: a misspelt one would have no effect
        if name.startswith(PREFIX) and "__" in name:
            section = name.removeprefix(PREFIX).split("__")[0].lower()
            if section not in Settings.model_fields:
                _refuse_unknown(section, {}, f"environment, {name}")
    return _parsed(EnvSettingsSource(Settings)())


def _from_flags(flags: Sequence[str]) -> Values:
    values: Values = {}
    for flag in flags:
        key, equals, raw = flag.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and name):
            raise SettingsError(f"--set {flag!r} is not section.key=value.", "Example: --set learn.lr=1e-4")
        values.setdefault(section, {})[name] = _literal(raw.strip())
    return values


def _parsed(values: Mapping[str, Any]) -> Values:
    """Text leaves read as TOML values: the source leaves those of dataclass sections as text."""
    return {
        key: _parsed(value) if isinstance(value, Mapping) else _literal(value) if isinstance(value, str) else value
        for key, value in values.items()
    }


def _literal(raw: str) -> Any:
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw


def _refuse_unknown(section: str, body: Any, source: str) -> None:
    if section in Settings.model_fields and not isinstance(body, Mapping):
        raise SettingsError(f"{source}: {section!r} is a section, not a value.", f"Write {section}.KEY instead.")
    if section not in Settings.model_fields:
        unknown = [f"{section}.{key}" for key in body] if isinstance(body, Mapping) and body else [section]
    else:
        unknown = [f"{section}.{key}" for key in body if key not in section_fields(section)]
    if unknown:
        near = difflib.get_close_matches(unknown[0], [*keys(), *Settings.model_fields], n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}?" if near else "docs/settings.md lists them all."
        raise SettingsError(f"{source}: there is no setting {unknown[0]!r}.", hint)


def _as_settings_error(error: ValidationError, sources: Mapping[str, Values]) -> SettingsError:
    first = error.errors()[0]
    section, name = str(first["loc"][0]), str(first["loc"][1]) if len(first["loc"]) > 1 else ""
    source = next((s for s, v in reversed(list(sources.items())) if not name or name in v.get(section, {})), "settings")
    if isinstance(own := first.get("ctx", {}).get("error"), SettingsError):  # a section's own check of its bounds
        return SettingsError(f"{source}: {own.message}", own.hint or "docs/settings.md says what it means.")
    message = first["msg"][:1].lower() + first["msg"][1:]
    return SettingsError(
        f"{source}: {section}.{name} = {first['input']!r}: {message}.", "docs/settings.md lists every setting."
    )
