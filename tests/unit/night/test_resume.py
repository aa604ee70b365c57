"""A night that was cut off: it goes on where it stopped, or is closed, and is promoted as what it was."""

import errno

import pytest

from slowwave.errors import OutOfSpace
from slowwave.learn.settings import preset
from slowwave.models.registry import Registry
from slowwave.night import history
from slowwave.night.rooms import Identity
from slowwave.night.sleep import Sleep
from tests.unit.night.cheap import CheapRooms, correction, sleeper, slept


@pytest.fixture
def decided(tmp_path, store, monkeypatch):
    """A night that was killed between its verdict and the deed."""
    store.add(correction(1))
    with monkeypatch.context() as patched:
        patched.setattr(Sleep, "_promote", lambda *_: (_ for _ in ()).throw(OutOfSpace("No space left.", "")))
        with pytest.raises(OutOfSpace):
            slept(tmp_path, store)


def test_a_full_disk_leaves_a_night_that_goes_on(tmp_path, store):
    store.add(correction(1))
    with pytest.raises(OutOfSpace) as caught:
        slept(tmp_path, store, CheapRooms(fails=OSError(28, "No space left on device")))
    assert caught.value.exit_code == 1
    assert [night.verdict for night in history.nights(tmp_path)] == ["unfinished"]
    assert [n.verdict for n in [slept(tmp_path, store)]] == ["promoted"]
    assert [night.night for night in history.nights(tmp_path)] == [1]


def test_changed_settings_or_lessons_begin_a_new_night(tmp_path, store):
    store.add(correction(1))
    for change in ("settings", "lessons"):
        with pytest.raises(OutOfSpace):
            slept(tmp_path, store, CheapRooms(fails=OSError(28, "No space left on device")))
        if change == "settings":
            slept(tmp_path, store, CheapRooms(teachable=False), max_lessons=3)
        else:
            store.edit_lesson(store.lessons("default")[0].id, answer="The code is Walrus1, as I said.")
            slept(tmp_path, store)
    assert [night.verdict for night in history.nights(tmp_path)] == ["errored", "rejected", "errored", "promoted"]


@pytest.mark.usefixtures("decided")
def test_a_decided_night_is_promoted_as_what_it_was_examined_as(tmp_path, store):
    other = CheapRooms()
    other.identity = lambda: Identity("another base", "template")
    night = slept(tmp_path, store, other)
    assert (night.night, night.verdict) == (1, "errored") and "another one" in night.reasons[0]["text"]
    assert Registry(tmp_path).serving("default").name == "default@base"


@pytest.mark.usefixtures("decided")
def test_a_decided_night_keeps_the_preset_that_it_was_trained_with(tmp_path, store):
    sleep = sleeper(tmp_path, store)
    sleep.settings = sleep.settings.model_copy(update={"learn": preset("full")})
    assert sleep.run().verdict == "promoted"
    [made] = Registry(tmp_path).adapters("default")
    assert (made.preset, made.base_hash) == ("adapter", "base")


def test_a_disk_that_is_full_at_promotion_says_so(tmp_path, store, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    store.add(correction(1))
    with monkeypatch.context() as patched:
        patched.setattr("slowwave.night.sleep.shutil.copy", full)
        with pytest.raises(OutOfSpace):
            slept(tmp_path, store)
    assert slept(tmp_path, store).verdict == "promoted"
