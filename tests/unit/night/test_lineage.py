"""What a night may draw on, to the last: what may not teach or was erased is neither dreamt nor trained on."""

from dataclasses import replace

import pytest

from slowwave.errors import OutOfSpace
from slowwave.night.folder import find
from slowwave.records import Outcome
from tests.unit.night.cheap import CheapRooms, correction, sleeper, slept


class Colliding(CheapRooms):
    """Dreams of each of these experiences, too, as met in a scene of the first lesson."""

    def __init__(self, *met, **changes):
        super().__init__(**changes)
        self.met, self.rehearsed = met, []

    def scenes(self, lessons, earlier):
        scenes = super().scenes(lessons, earlier)
        first = next(one for one in scenes if one.split == "train")
        return [*scenes, *(replace(first, id=f"met {id}", lineage=(*first.lineage, id)) for id in self.met)]

    def train(self, scenes, earlier, **options):
        self.rehearsed = list(earlier)
        return super().train(scenes, earlier, **options)

    @property
    def trained_on(self):
        return {scene.id for scene in self.trained_with if scene.id.startswith("met ")}


def talk(number, source="user:ann"):
    """An exchange that nobody corrected."""
    said = ({"role": "user", "content": f"How long is tea {number}?"}, {"role": "assistant", "content": "Long."})
    return replace(correction(number, source=source), outcome=Outcome(), messages=said)


def collided(home, store, rooms):
    sleep = sleeper(home, store, rooms)
    sleep.settings = sleep.settings.model_copy(update={"dream": replace(sleep.settings.dream, collided=0.5)})
    return sleep.run()


def cut_off(home, store, rooms):
    """A night that dies when it begins to train."""
    with pytest.raises(OutOfSpace):
        collided(home, store, rooms)


def test_a_scene_of_what_may_not_teach_or_is_stored_no_more_is_not_kept(tmp_path, store):
    store.add_many([correction(1), talk(2), talk(3, source="tool:x"), talk(4)])
    store.erase("e4")
    rooms = Colliding("e2", "e3", "e4")
    assert collided(tmp_path, store, rooms).verdict == "promoted"
    kept = {row["id"] for row in find(tmp_path, 1).read("scenes.jsonl") if row["id"].startswith("met ")}
    assert kept == rooms.trained_on == {"met e2"}


def test_what_was_erased_since_a_night_was_cut_off_is_not_trained_on_when_it_goes_on(tmp_path, store):
    store.add_many([correction(1), talk(2), talk(3)])
    first = Colliding("e2", "e3", fails=OSError(28, "No space left on device"))
    cut_off(tmp_path, store, first)
    assert first.trained_on == {"met e2", "met e3"}
    store.erase("e2")
    rooms = Colliding("e2", "e3")
    night = collided(tmp_path, store, rooms)
    assert (night.night, night.verdict) == (1, "promoted"), "it goes on, and dreams nothing anew"
    assert rooms.trained_on == {"met e3"}


def test_an_earlier_lesson_that_was_erased_since_a_night_was_cut_off_is_not_rehearsed(tmp_path, store):
    for number in (1, 2):
        store.add(correction(number))
        collided(tmp_path, store, Colliding())
    store.add(correction(3))
    cut_off(tmp_path, store, Colliding(fails=OSError(28, "No space left on device")))
    store.erase("e1")
    rooms = Colliding()
    assert collided(tmp_path, store, rooms).night == 4, "its exam had asked it already"
    assert {id for scene in rooms.rehearsed for id in scene.lineage} == {"e2"}


def test_a_contradicted_lesson_that_may_teach_no_longer_is_not_dreamt_of(tmp_path, store):
    store.add(correction(1, source="tool:x"))
    slept(tmp_path, store, permitted=("user", "tool"))
    newer = replace(correction(1), id="e9", outcome=Outcome(-1, "The code is Heron9."))
    store.add(replace(newer, time="2026-04-01T09:00:00Z"))
    rooms = CheapRooms()
    slept(tmp_path, store, rooms)
    assert [lesson.status for lesson in store.lessons("default")] == ["learned", "learned"]
    assert rooms.dreamt_with["older"] == {}
