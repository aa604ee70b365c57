"""The pointer to the served version: promotion, undo, damage, and a kill at every step of both."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slowwave.errors import DamagedFile, NightError, NotFound, OutOfSpace, UsageError
from slowwave.models import files
from slowwave.models.manifest import Manifest, read_manifest
from slowwave.models.registry import Registry


def manifest(night: int, parent: str, *, persona: str = "default", preset: str = "gentle") -> Manifest:
    return Manifest(persona, night, parent, preset, "b" * 64, "t" * 64, ("lesson",), {"lr": 1e-4}, {"kept": 0.97})


def fill(stage: Path, content: str) -> Path:
    (stage / "adapter_config.json").write_text("{}")
    (stage / "adapter_model.safetensors").write_text(content)
    return stage


def sleep(registry: Registry, night: int, parent: str, persona: str = "default") -> str:
    stage = fill(registry.stage(persona, night), f"weights of night {night}")
    return registry.promote(stage, manifest(night, parent, persona=persona), lambda: None)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_the_base_is_served_before_any_night(registry: Registry) -> None:
    version = registry.serving("default")
    assert (version.name, version.folder, version.sha256) == ("default@base", None, None)
    registry.verify("default@base")


def test_promotion_serves_the_whole_version(registry: Registry) -> None:
    assert sleep(registry, 1, "default@base") == "default@n0001"
    version = registry.serving("default")
    assert version.name == "default@n0001"
    assert version.folder == registry.home / "personas/default/adapters/n0001"
    assert version.sha256 == files.sha256(version.folder / "adapter_model.safetensors")
    written = read_manifest(version.folder)
    assert set(written.files) == {"adapter_config.json", "adapter_model.safetensors"}
    assert (written.parent, written.lessons, written.exam) == ("default@base", ("lesson",), {"kept": 0.97})
    assert [entry.name for entry in registry.adapters("default")] == ["default@n0001"]
    assert registry.personas() == ["default"]
    assert not list((registry.home / "personas/default/adapters").glob(".stage-*"))


def test_undo_walks_back_to_the_base_and_the_history_tells(registry: Registry) -> None:
    sleep(registry, 1, "default@base")
    before = {path.name: path.read_bytes() for path in registry.serving("default").folder.iterdir()}  # type: ignore
    sleep(registry, 2, "default@n0001")
    version = registry.undo("default")
    assert version.name == "default@n0001"
    assert {path.name: path.read_bytes() for path in version.folder.iterdir()} == before  # type: ignore[union-attr]
    assert registry.undo("default").name == "default@base"
    assert registry.serving("default").sha256 is None
    with pytest.raises(NightError, match="no night to undo"):
        registry.undo("default")
    changes = [(change["action"], change["to"]) for change in registry.history("default")]
    assert changes == [
        ("promote", "default@n0001"),
        ("promote", "default@n0002"),
        ("undo", "default@n0001"),
        ("undo", "default@base"),
    ]
    assert [entry.night for entry in registry.adapters("default")] == [1, 2]  # kept, only no longer served


def test_undo_of_an_older_night_goes_before_it(registry: Registry) -> None:
    for night, parent in ((1, "default@base"), (2, "default@n0001"), (3, "default@n0002")):
        sleep(registry, night, parent)
    assert registry.undo("default", 2).name == "default@n0001"
    with pytest.raises(NightError, match="no part of"):
        registry.undo("default", 3)
    with pytest.raises(UsageError):
        registry.undo("default", 0)
    sleep(registry, 4, "default@n0001")
    assert registry.undo("default", 1).name == "default@base"


def test_undo_refuses_damaged_bytes_and_leaves_the_pointer(registry: Registry) -> None:
    sleep(registry, 1, "default@base")
    sleep(registry, 2, "default@n0001")
    weights = registry.home / "personas/default/adapters/n0001/adapter_model.safetensors"
    weights.write_text("weights of night I")
    with pytest.raises(DamagedFile, match="not what night 1 wrote"):
        registry.undo("default")
    assert registry.serving("default").name == "default@n0002"
    assert registry.undo("default", 1).name == "default@base"


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors", "manifest.json"])
def test_verify_misses_no_file(registry: Registry, file: str) -> None:
    sleep(registry, 1, "default@base")
    registry.verify("default@n0001")
    path = registry.home / "personas/default/adapters/n0001" / file
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedFile):
        registry.verify("default@n0001")
    path.unlink()
    with pytest.raises(DamagedFile):
        registry.verify("default@n0001")
    with pytest.raises(NotFound):
        registry.verify("default@n0002")


def test_a_vanished_version_is_damage_not_the_base_and_can_be_undone(registry: Registry) -> None:
    sleep(registry, 1, "default@base")
    sleep(registry, 2, "default@n0001")
    files.discard(registry.home / "personas/default/adapters/n0002")
    assert registry.lineage("default") == ["default@n0002", "default@n0001", "default@base"]
    with pytest.raises(DamagedFile, match="default@n0002") as caught:
        registry.serving("default")
    assert "slowwave undo" in caught.value.hint
    assert registry.undo("default").name == "default@n0001"
    assert registry.serving("default").name == "default@n0001"


@pytest.mark.parametrize(
    "text", ["", "{", '{"adapter": 3, "sha256": null}', '{"adapter": "other@n0001", "sha256": ""}']
)
def test_a_broken_pointer_is_damage(registry: Registry, text: str) -> None:
    sleep(registry, 1, "default@base")
    (registry.home / "personas/default/serving.json").write_text(text)
    with pytest.raises(DamagedFile, match=r"serving\.json"):
        registry.serving("default")


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "/etc", "A", ".a", "-a", "a" * 65, "a\n", "a\0", "ä", "base@n0001", "a b"]
)
def test_names_that_would_leave_the_folder_are_refused(registry: Registry, name: str) -> None:
    for use in (registry.serving, registry.adapters, registry.history, registry.undo, lambda p: registry.stage(p, 1)):
        with pytest.raises(UsageError):
            use(name)
    with pytest.raises(UsageError):
        registry.verify(f"{name}@n0001")
    with pytest.raises(UsageError):
        registry.promote(registry.home, manifest(1, "default@base", persona=name), lambda: None)
    assert list(registry.home.iterdir()) == []


def test_a_stale_sleeper_changes_nothing_that_is_served(registry: Registry) -> None:
    def lost_lease() -> None:
        raise NightError("Somebody else is sleeping.")

    sleep(registry, 1, "default@base")
    stage = fill(registry.stage("default", 2), "late")
    with pytest.raises(NightError, match="Somebody else"):
        registry.promote(stage, manifest(2, "default@n0001"), lost_lease)
    assert registry.serving("default").name == "default@n0001"
    assert [entry.night for entry in registry.adapters("default")] == [1]
    assert sleep(registry, 2, "default@n0001") == "default@n0002"  # the leftover does not stand in the way


def test_a_night_that_learned_on_an_undone_version_is_refused(registry: Registry) -> None:
    sleep(registry, 1, "default@base")
    stage = fill(registry.stage("default", 2), "on top of night 1")
    registry.undo("default")
    with pytest.raises(NightError, match="default@base is served now"):
        registry.promote(stage, manifest(2, "default@n0001"), lambda: None)
    assert registry.serving("default").name == "default@base"


def test_a_served_version_never_changes(registry: Registry) -> None:
    sleep(registry, 1, "default@base")
    registry.undo("default")
    stage = fill(registry.stage("default", 1), "other weights")
    with pytest.raises(NightError, match="cannot change"):
        registry.promote(stage, manifest(1, "default@base"), lambda: None)
    registry.verify("default@n0001")


def test_incomplete_versions_are_refused(registry: Registry) -> None:
    stage = registry.stage("default", 1)
    (stage / "adapter_config.json").write_text("{}")
    with pytest.raises(DamagedFile, match=r"adapter_model\.safetensors"):
        registry.promote(stage, manifest(1, "default@base"), lambda: None)
    fill(stage, "low rank")
    with pytest.raises(DamagedFile, match=r"difference\.safetensors"):
        registry.promote(stage, manifest(1, "default@base", preset="full"), lambda: None)
    (stage / "difference.safetensors").write_text("exact")
    registry.promote(stage, manifest(1, "default@base", preset="full"), lambda: None)
    assert "difference.safetensors" in registry.adapters("default")[0].files


def test_a_full_disk_changes_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    sleep(registry, 1, "default@base")
    stage = fill(registry.stage("default", 2), "too big")
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(OutOfSpace):
            registry.promote(stage, manifest(2, "default@n0001"), lambda: None)
        with pytest.raises(OutOfSpace):
            registry.undo("default")
    assert registry.serving("default").name == "default@n0001"
    registry.verify("default@n0001")
    assert registry.promote(stage, manifest(2, "default@n0001"), lambda: None) == "default@n0002"


def test_personas_do_not_share_a_pointer(registry: Registry) -> None:
    sleep(registry, 1, "ann@base", "ann")
    sleep(registry, 2, "bob@base", "bob")
    registry.undo("ann")
    assert (registry.serving("ann").name, registry.serving("bob").name) == ("ann@base", "bob@n0002")
    assert registry.personas() == ["ann", "bob"]


def test_a_folder_that_is_no_persona_is_none(registry: Registry) -> None:
    sleep(registry, 1, "default@base")
    for name in ("default.bak", "default copy", ".trash", "Default", "a" * 65):
        (registry.home / "personas" / name / "adapters").mkdir(parents=True)
    (registry.home / "personas" / "notes").write_text("a file")
    assert registry.personas() == ["default"]


@pytest.mark.parametrize(
    "line", ["{", "3", "{}", '{"action": "promote", "from": "default@base", "to": null}',
             '{"action": "promote", "from": "default@base", "to": "default@n1"}',
             '{"action": ["undo"], "from": "default@base", "to": "default@n0001"}'],
)  # fmt: skip
def test_a_broken_history_is_damage(registry: Registry, line: str) -> None:
    sleep(registry, 1, "default@base")
    (registry.home / "personas/default/history.jsonl").write_text(f"{line}\n")
    for use in (registry.history, registry.lineage, registry.adapters):
        with pytest.raises(DamagedFile, match=r"history\.jsonl"):
            use("default")


@pytest.mark.parametrize(
    "change", [{"night": "1"}, {"night": 0}, {"persona": 3}, {"persona": "A"}, {"parent": None}, {"parent": "x"},
               {"files": []}, {"lessons": None}, {"name": 3}, {"more": 1}],
)  # fmt: skip
def test_a_broken_manifest_is_damage(registry: Registry, change: dict[str, object]) -> None:
    sleep(registry, 1, "default@base")
    path = registry.home / "personas/default/adapters/n0001/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DamagedFile, match=r"manifest\.json"):
        registry.adapters("default")
    assert registry.lineage("default") == ["default@n0001", "default@base"]  # the history tells


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from slowwave.models.manifest import Manifest
from slowwave.models.registry import Registry

calls, last = 0, int(sys.argv[3])

def mortal(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(os, name, call)

registry = Registry(Path(sys.argv[1]))
for name in ("fsync", "rename", "replace", "unlink", "mkdir", "open"):
    mortal(name)
if sys.argv[2] == "undo":
    registry.undo("default")
else:
    registry.promote(Path(sys.argv[2]), Manifest("default", 2, "default@n0001", "gentle", "b", "t"), lambda: None)
"""


def killed(home: Path, action: str, call: int) -> bool:
    """Whether a child doing `action` was killed at its n-th call of the file system."""
    done = subprocess.run([sys.executable, "-c", KILLED_AT, home, action, str(call)], capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("resumed", [True, False])
def test_kill_at_every_step_of_a_promotion(tmp_path: Path, resumed: bool) -> None:
    seen = set()
    call = 0
    alive = False
    while not alive:
        call += 1
        registry = Registry(tmp_path / f"home{call}")
        sleep(registry, 1, "default@base")
        stage = fill(registry.stage("default", 2), "weights of night 2")
        alive = not killed(registry.home, str(stage), call)

        name = registry.serving("default").name
        registry.verify(name)
        seen.add(name)
        assert [entry.name for entry in registry.adapters("default")][-1] == name
        again = Manifest("default", 2, "default@n0001", "gentle", "b", "t")
        if not resumed and name == "default@n0001":
            stage = fill(registry.stage("default", 2), "weights of night 2, learned again")
        assert registry.promote(stage, again, lambda: None) == "default@n0002"
        registry.verify(registry.serving("default").name)
        assert [change["to"] for change in registry.history("default")] == ["default@n0001", "default@n0002"]
        assert registry.undo("default").name == "default@n0001"
    assert call > 10
    assert seen == {"default@n0001", "default@n0002"}


def test_kill_at_every_step_of_an_undo(tmp_path: Path) -> None:
    seen = set()
    call = 0
    alive = False
    while not alive:
        call += 1
        registry = Registry(tmp_path / f"home{call}")
        sleep(registry, 1, "default@base")
        sleep(registry, 2, "default@n0001")
        alive = not killed(registry.home, "undo", call)
        name = registry.serving("default").name
        registry.verify(name)
        seen.add(name)
        assert json.loads((registry.home / "personas/default/serving.json").read_text())["adapter"] == name
    assert seen == {"default@n0001", "default@n0002"}
