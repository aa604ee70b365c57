"""What was tried in vain is tried again with more; what was learned but has not converged in its budget is taught once
more beside other lessons; and what rounds learned is on file."""

from dataclasses import replace

import pytest

from slowwave.errors import OutOfSpace
from slowwave.night.folder import find
from slowwave.night.history import undo
from slowwave.night.past import nights_with, unconverged
from slowwave.records import Outcome
from tests.unit.night.cheap import CheapRooms, correction, sleeper, worse
from tests.unit.night.test_page import printed


class InRounds(CheapRooms):
    """Tells what its rounds learned, and remembers what was held still."""

    held: tuple = ()

    def train(self, scenes, earlier, *, on_round, **options):
        self.held = list(earlier)
        on_round(1, scenes[1:2])
        on_round(2, [replace(scenes[0], answer="In its own words.", lineage=("met",))])
        return super().train(scenes, earlier, on_round=on_round, **options)


def slept(home, store, rooms, *, rounds=3, **night):
    sleep = sleeper(home, store, rooms, **night)
    dream = sleep.settings.dream.within(rounds=rounds)
    sleep.settings = sleep.settings.model_copy(update={"dream": dream})
    return sleep.run()


def taught(rooms):
    """Lessons with scenes that were trained on to be learned."""
    return {scene.lesson for scene in rooms.trained_with if scene.taught}


def learned(store):
    return {lesson.experiences[0]: lesson.id for lesson in store.lessons("default", "learned")}


def test_a_learned_lesson_that_has_not_converged_is_taught_once_more_with_more(tmp_path, store):
    store.add_many([correction(1), correction(2)])
    assert slept(tmp_path, store, InRounds()).verdict == "promoted"
    first, second = (learned(store)[id] for id in ("e1", "e2"))
    store.add(correction(3))
    rooms = InRounds(converged=[])
    assert slept(tmp_path, store, rooms).verdict == "promoted"
    assert len(taught(rooms)) == 1, "the first night had no rounds, so nothing is known of convergence"

    store.add(correction(4))
    rooms = InRounds(converged=[learned(store)["e3"]])
    night = slept(tmp_path, store, rooms)
    third, fourth = (learned(store)[id] for id in ("e3", "e4"))
    assert taught(rooms) == {third, fourth}
    assert rooms.more == rooms.dreamt_with["more"] == {third: 1.5}
    assert {scene.lesson for scene in rooms.held} == {first, second}, "what is taught is not held as it was"
    assert [row["lesson"] for row in night.lessons] == [fourth], "the exam's lessons are tonight's"
    folder = find(tmp_path, night.night)
    asked = [row for row in folder.read("scenes.jsonl") if row["split"] == "exam"]
    assert {row["lesson"] for row in asked} == {fourth}, (
        "the others are asked what they were asked when they were learned"
    )
    after = folder.read("exam.json")["after"]
    assert [{row["lesson"] for row in after[of]} for of in ("answers", "earlier")] == [
        {third, fourth}, {first, second, third}
    ]  # fmt: skip
    assert {row["kind"] for row in after["answers"] if row["lesson"] == third} == {"near_miss"}, "it may spread anew"
    told = " ".join(printed(night).split())
    assert "0 of 1 lessons converged; of 1 earlier ones that were taught once more 1. Not: " in told

    store.add(correction(5))
    rooms = InRounds(converged=[])
    slept(tmp_path, store, rooms)
    assert taught(rooms) == {learned(store)["e5"], fourth}, "the third has converged by now"


def test_what_converged_in_a_night_that_was_undone_has_not_converged(tmp_path, store):
    class Converging(InRounds):
        def train(self, scenes, earlier, **options):
            self.converged = sorted({scene.lesson for scene in scenes})
            return super().train(scenes, earlier, **options)

    store.add(correction(1))
    slept(tmp_path, store, Converging())
    undo(tmp_path, store, "default")
    (lesson,) = store.lessons("default", "undone")
    store.set_status(lesson.id, "approved")
    assert slept(tmp_path, store, InRounds(converged=[])).verdict == "promoted"
    store.add(correction(2))
    rooms = InRounds(converged=[])
    slept(tmp_path, store, rooms)
    assert taught(rooms) == {learned(store)["e1"], learned(store)["e2"]}


def test_a_night_of_rounds_that_goes_on_after_dreaming_asks_its_judge_again(tmp_path, store):
    store.add(correction(1))
    with pytest.raises(OutOfSpace):
        slept(tmp_path, store, InRounds(fails=OSError(28, "No space left on device")))
    rooms = InRounds()
    slept(tmp_path, store, rooms)
    assert not hasattr(rooms, "dreamt_with") and len(rooms.labels) == 2, "of the correction"


def test_it_is_tried_as_often_as_any_lesson_and_where_there_is_room(tmp_path, store):
    for number in range(1, 5):
        store.add(correction(number))
        rooms = InRounds(converged=[])
        slept(tmp_path, store, rooms, attempts=2, max_lessons=2)
        new = learned(store)[f"e{number}"]
        before = {learned(store)[f"e{number - 1}"]} if number > 1 else set()
        assert taught(rooms) == {new} | before, "twice each: on its own night and on the next"
    store.add(correction(5))
    rooms = InRounds(converged=[])
    slept(tmp_path, store, rooms, max_lessons=1)
    assert taught(rooms) == {learned(store)["e5"]}, "no room"
    store.add(correction(6))
    rooms = InRounds()
    slept(tmp_path, store, rooms, rounds=1)
    assert taught(rooms) == {learned(store)["e6"]}, "without rounds nothing converges"


def test_nights_that_are_rejected_do_not_try_it_for_ever(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store, InRounds(converged=[]))
    tried = []
    for number in range(2, 6):
        store.add(correction(number))
        rooms = InRounds(converged=[], retention=worse(drift=9.0))
        assert slept(tmp_path, store, rooms, attempts=3).verdict == "rejected"
        tried.append(learned(store)["e1"] in taught(rooms))
    assert tried == [True, True, False, False]


def test_after_a_crash_nothing_is_dreamt_of_what_was_erased_since(tmp_path, store):
    for number in (1, 2):
        store.add(correction(number))
        slept(tmp_path, store, InRounds(converged=[]))
    store.add(correction(3))
    crashed = InRounds(converged=[])
    crashed.dream = lambda *_, **__: (_ for _ in ()).throw(OutOfSpace("No space left.", ""))
    with pytest.raises(OutOfSpace):
        slept(tmp_path, store, crashed)
    gone = learned(store)["e1"]
    store.erase("e1")
    rooms = InRounds(converged=[])
    night = slept(tmp_path, store, rooms)
    assert night.night == 3 and gone not in taught(rooms)
    assert gone not in {row["lesson"] for row in find(tmp_path, 3).read("scenes.jsonl")}
    assert gone not in {row["lesson"] for row in find(tmp_path, 3).read("exam.json")["after"]["earlier"]}


def test_after_a_crash_an_earlier_lesson_that_lost_one_of_two_experiences_is_held(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store, CheapRooms())
    (lesson,) = store.lessons("default")
    store.add(replace(correction(1), id="again", time="2026-03-05T09:00:00Z"))
    store.edit_lesson(lesson.id, experiences=("e1", "again"))
    store.add(correction(2))
    for fails in (OSError(28, "No space left on device"), None):
        if fails:
            with pytest.raises(OutOfSpace):
                slept(tmp_path, store, CheapRooms(fails=fails))
            store.erase("again")
        else:
            assert slept(tmp_path, store, CheapRooms()).verdict == "promoted"
    assert {row["lesson"] for row in find(tmp_path, 2).read("exam.json")["after"]["earlier"]} == {lesson.id}


def test_after_a_crash_a_night_whose_exam_asked_what_is_gone_since_is_closed(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store, CheapRooms())
    store.add(correction(2))
    with pytest.raises(OutOfSpace):
        slept(tmp_path, store, CheapRooms(fails=OSError(28, "No space left on device")))
    store.erase("e1")
    assert slept(tmp_path, store, CheapRooms()).night == 3
    assert "is gone since" in " ".join(reason["text"] for reason in find(tmp_path, 2).read("verdict.json")["reasons"])


def test_what_rounds_learned_is_on_file_and_names_whose_words_it_has(tmp_path, store):
    store.add(correction(1))
    night = slept(tmp_path, store, InRounds(converged=[]))
    first, row = find(tmp_path, night.night).read("rounds.jsonl")
    assert (row["round"], row["answer"], row["lesson"]) == (2, "In its own words.", learned(store)["e1"])
    assert first["round"] == 1
    assert nights_with(tmp_path, "met") == [night.night] and nights_with(tmp_path, "never") == []


def test_an_experience_that_was_only_met_is_named_with_its_nights(tmp_path, store):
    """It came in long before, say, so that no list of the night has it."""

    class Colliding(CheapRooms):
        def scenes(self, lessons, earlier):
            some = super().scenes(lessons, earlier)
            return [*some, replace(some[0], id="collided", lineage=("e9",))]

    store.add_many([correction(1), replace(correction(9), outcome=Outcome(), source="user:bea")])
    sleep = sleeper(tmp_path, store, Colliding())
    sleep.settings = sleep.settings.model_copy(update={"dream": sleep.settings.dream.within(collided=0.5)})
    night = sleep.run()
    listed = find(tmp_path, night.night)
    listed.write("lessons.json", listed.read("lessons.json") | {"came_in": []})
    assert nights_with(tmp_path, "e9") == [night.night]


def test_of_no_lessons_no_night_is_read(tmp_path, monkeypatch):
    """As in every night without rounds: the exams of a year are large."""
    monkeypatch.setattr("slowwave.night.folder.folders", lambda home: 1 / 0)
    assert unconverged(tmp_path, "default", []) == {}


def test_a_lesson_that_was_tried_in_vain_is_tried_again_with_more(tmp_path, store):
    store.add(correction(1))
    rooms = CheapRooms(teachable=False)
    slept(tmp_path, store, rooms, rounds=1)
    assert rooms.more == {} and rooms.dreamt_with["more"] == {}
    store.add(correction(2))
    slept(tmp_path, store, rooms, rounds=1)
    (first,) = (lesson.id for lesson in store.lessons("default") if lesson.experiences == ("e1",))
    assert rooms.more == rooms.dreamt_with["more"] == {first: 1.5}
    slept(tmp_path, store, rooms, rounds=1)
    assert rooms.more[first] == 2 and set(rooms.more.values()) == {2, 1.5}
    store.set_status(first, "approved")
    slept(tmp_path, store, rooms, rounds=1)
    assert rooms.more[first] == 2, "twice at most, however often a person wants it"
