"""Which of the four places wins, and what a wrong setting is told."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from slowwave.config import cache_folder, home_folder, keys, load_settings
from slowwave.errors import SettingsError, SlowwaveError
from slowwave.experience.importers.conversation import Broken, persona_of
from slowwave.experience.store import Store
from slowwave.models.manifest import check_persona


def test_later_places_win(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    (home / "slowwave.toml").write_text("[learn]\nlr = 1e-3\nrank = 8\nepochs = 2\n")
    assert load_settings(home).learn.lr == 1e-3
    monkeypatch.setenv("SLOWWAVE_LEARN__LR", "2e-3")
    monkeypatch.setenv("SLOWWAVE_LEARN__RANK", "16")
    settings = load_settings(home, ["learn.lr=3e-3"])
    assert (settings.learn.lr, settings.learn.rank, settings.learn.epochs) == (3e-3, 16, 2)


def test_preset_sets_defaults_that_single_values_override(home: Path) -> None:
    learn = load_settings(home, ["learn.preset=gentle", "learn.alpha=16"]).learn
    assert (learn.rank, learn.targets, learn.alpha) == (4, ("q_proj", "v_proj"), 16)


@pytest.mark.parametrize("place", ["file", "environment", "flag"])
def test_unknown_key_is_refused_with_the_nearest_known(place: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = []
    home.mkdir()
    if place == "file":
        (home / "slowwave.toml").write_text("[night]\nmax_lesons = 3\n")
    elif place == "environment":
        monkeypatch.setenv("SLOWWAVE_NIGHT__MAX_LESONS", "3")
    else:
        flags = ["night.max_lesons=3"]
    with pytest.raises(SettingsError, match=r"night\.max_lesons") as caught:
        load_settings(home, flags)
    assert "night.max_lessons" in caught.value.hint
    assert caught.value.exit_code == 2


def test_misspelt_section_is_refused_wherever_it_stands(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOWWAVE_LERN__LR", "1")
    with pytest.raises(SettingsError, match="SLOWWAVE_LERN__LR"):
        load_settings(home)
    monkeypatch.delenv("SLOWWAVE_LERN__LR")
    home.mkdir()
    (home / "slowwave.toml").write_text("lr = 1\n")
    with pytest.raises(SettingsError, match=r"slowwave\.toml.*'lr'"):
        load_settings(home)


@pytest.mark.parametrize(
    "flag",
    [
        "night.max_lessons=0",
        "night.max_lessons=many",
        "night.max_lessons=1.5",
        "night.permitted=[]",
        "night.permitted=['assistant']",
        "learn.lr=nan",
        "learn.lr=-1",
        "learn.preset=strong",
        "exam.drift=2",
        "model.dtype=int3",
    ],
)
def test_value_outside_its_bounds_is_refused_by_name(flag: str, home: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(home, [flag])
    assert flag.split("=")[0] in caught.value.message
    assert "--set" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("flag", ["night", "night=3", "=3", "max_lessons=3", "night.=3"])
def test_flag_that_is_no_assignment(flag: str, home: Path) -> None:
    with pytest.raises(SettingsError, match=r"not section\.key=value"):
        load_settings(home, [flag])


@pytest.mark.parametrize("content", [b"[learn\nlr=", b"\xff\xfe\x00"])
def test_damaged_file_is_named(content: bytes, home: Path) -> None:
    home.mkdir()
    (home / "slowwave.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"slowwave\.toml is not TOML"):
        load_settings(home)


def test_settings_cannot_change_under_way(home: Path) -> None:
    settings = load_settings(home)
    with pytest.raises((ValueError, AttributeError)):
        settings.night.max_lessons = 3  # type: ignore[misc]


def test_folders_follow_flag_then_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SLOWWAVE_HOME", raising=False)
    monkeypatch.delenv("SLOWWAVE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert home_folder() == tmp_path / ".slowwave"
    assert cache_folder() == tmp_path / ".cache" / "slowwave"
    monkeypatch.setenv("SLOWWAVE_HOME", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert home_folder() == tmp_path / "a"
    assert cache_folder() == tmp_path / "x" / "slowwave"
    assert home_folder(tmp_path / "b") == tmp_path / "b"


def test_settings_page_is_up_to_date() -> None:
    docs = Path(__file__).parents[2] / "docs"
    spec = importlib.util.spec_from_file_location("make_settings", docs / "make_settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (docs / "settings.md").read_text(encoding="utf-8") == module.page(), "run: make docs"
    assert all(f"`{key}`" in module.page() for key in keys())


@pytest.mark.parametrize(
    "name", ["ann", "a1_b-2", "Ann", "", "ann\n", "-ann", "a b", "ann@n0001", "\u00e4nn", "a" * 65]
)
def test_every_room_accepts_the_same_personas(name: str, home: Path) -> None:
    def accepted(accept: Callable[[], object]) -> bool:
        try:
            accept()
        except (SlowwaveError, Broken):
            return False
        return True

    home.mkdir()
    (home / "slowwave.toml").write_text(f"[night]\npersona = {json.dumps(name)}\n")
    with Store(home) as store:
        rooms = [lambda: store.add_persona(name), lambda: persona_of(name), lambda: load_settings(home)]
        assert [accepted(room) for room in rooms] == 3 * [accepted(lambda: check_persona(name))]
