"""A night that is taken back, and what is damaged: what is served then, and what the store says of it."""

import shutil

import pytest

from slowwave.errors import DamagedFile, NightError
from slowwave.models.registry import Registry
from slowwave.night import history
from tests.unit.night.cheap import CheapRooms, correction, slept


def test_undo_takes_back_a_night_and_all_after_it(tmp_path, store):
    for number in (1, 2, 3):
        store.add(correction(number))
        assert slept(tmp_path, store).verdict == "promoted"
    before = (tmp_path / "personas/default/adapters/n0001/adapter_model.safetensors").read_bytes()
    assert history.undo(tmp_path, store, "default", 2) == "default@n0001"
    assert (tmp_path / "personas/default/adapters/n0001/adapter_model.safetensors").read_bytes() == before
    assert [lesson.status for lesson in store.lessons("default")] == ["learned", "undone", "undone"]
    assert [bool(night.undone) for night in history.nights(tmp_path)] == [False, True, True]
    store.add(correction(4))
    rooms = CheapRooms()
    night = slept(tmp_path, store, rooms)
    assert (night.night, night.parent, night.verdict) == (4, "default@n0001", "promoted")
    assert len({scene.lesson for scene in rooms.trained_with}) == 1  # what was undone is not learned again by itself


@pytest.mark.parametrize("lost", ["adapter_model.safetensors", "manifest.json", ""])
def test_undo_leaves_a_damaged_version_behind(tmp_path, store, lost):
    for number in (1, 2):
        store.add(correction(number))
        assert slept(tmp_path, store).verdict == "promoted"
    served = tmp_path / "personas/default/adapters/n0002"
    (served / lost).unlink() if lost else shutil.rmtree(served)
    assert history.undo(tmp_path, store, "default") == "default@n0001"
    assert [lesson.status for lesson in store.lessons("default")] == ["learned", "undone"]
    assert [bool(night.undone) for night in history.nights(tmp_path)] == [False, True]


def test_store_follows_the_registry_after_a_crash_in_undo(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store)
    Registry(tmp_path).undo("default")  # and then we were killed
    assert store.lessons("default")[0].status == "learned"
    assert slept(tmp_path, store).verdict == "skipped"
    assert store.lessons("default")[0].status == "undone"
    assert history.nights(tmp_path)[0].undone


def test_a_served_version_that_is_damaged_is_not_built_on(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store)
    weights = tmp_path / "personas/default/adapters/n0001/adapter_model.safetensors"
    weights.write_text(weights.read_text().replace("]", ' , "rot"]'))
    store.add(correction(2))
    with pytest.raises(DamagedFile, match="not what night 1 wrote"):
        slept(tmp_path, store)
    assert len(history.nights(tmp_path)) == 1


def test_an_undo_that_could_not_be_written_down_is_done_all_the_same(tmp_path, store, monkeypatch, caplog):
    for number in (1, 2):
        store.add(correction(number))
        slept(tmp_path, store)
    with monkeypatch.context() as patched:
        patched.setattr(history, "reconcile", lambda *_: (_ for _ in ()).throw(OSError("locked")))
        assert history.undo(tmp_path, store, "default") == "default@n0001"
    assert "locked" in caplog.text
    with pytest.raises(NightError):
        history.undo(tmp_path, store, "default", 7)  # what did not happen is not told as done


def test_what_is_no_persona_and_anothers_damage_stop_nobody(tmp_path, store):
    store.add_many([correction(1), correction(2, persona="ann")])
    assert slept(tmp_path, store, persona="ann").adapter == "ann@n0001"
    (tmp_path / "personas/default.bak/adapters/n0001").mkdir(parents=True)
    (tmp_path / "personas/ann/adapters/n0001/manifest.json").write_text("{")
    (tmp_path / "personas/ann/serving.json").write_text("{")
    assert slept(tmp_path, store).adapter == "default@n0002"
