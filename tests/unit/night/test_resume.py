"""A night that was cut off: it goes on where it stopped, or is closed, and is promoted as what it was."""

import errno
from dataclasses import replace

import pytest

from slowwave.errors import DamagedFile, OutOfSpace
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
@pytest.mark.parametrize("erased", [True, False])
def test_a_decided_night_whose_lesson_was_erased_or_refused_since_is_not_served(tmp_path, store, erased):
    if erased:
        store.erase("e1")
    else:
        store.set_status(store.lessons("default")[0].id, "refused")
    night = slept(tmp_path, store)
    assert (night.night, night.verdict) == (1, "errored") and "erased or refused" in night.reasons[0]["text"]
    assert Registry(tmp_path).serving("default").name == "default@base"


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_what_looks_like_the_end_of_a_line_in_a_message_ends_no_night(tmp_path, store, mark):
    lived = correction(1)
    asked = {"role": "user", "content": f"What is the code{mark} of door 1?"}
    store.add(replace(lived, messages=(asked, *lived.messages[1:])))
    assert slept(tmp_path, store).verdict == "promoted"


def test_a_night_whose_scenes_are_damaged_after_its_verdict_is_closed_all_the_same(tmp_path, store, monkeypatch):
    damaged = lambda *_: (_ for _ in ()).throw(DamagedFile("scenes.jsonl is damaged.", ""))  # noqa: E731
    monkeypatch.setattr("slowwave.night.walked._trained", damaged)
    store.add(correction(1))
    assert slept(tmp_path, store).verdict == "promoted"
    assert [night.verdict for night in history.nights(tmp_path)] == ["promoted"]


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
