"""A whole sleep without a model: what comes in, what is decided, what is left behind."""

import errno
import json
import shutil
from dataclasses import replace

import pytest

from slowwave.errors import DamagedFile, LeaseHeld, NightError, OutOfSpace, TrainingError
from slowwave.experience.store import Store
from slowwave.learn.settings import preset
from slowwave.models.registry import Registry
from slowwave.night import history
from slowwave.night.folder import find
from slowwave.night.lease import Lease
from slowwave.night.rooms import FRACTIONS, Identity
from slowwave.night.sleep import Sleep
from slowwave.records import Outcome
from tests.unit.night.cheap import CheapRooms, correction, sleeper, slept, worse


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as store:
        yield store


def test_a_correction_is_learned_and_served(tmp_path, store):
    store.add(correction(1))
    night = slept(tmp_path, store)
    assert (night.night, night.verdict, night.adapter) == (1, "promoted", "default@n0001")
    assert Registry(tmp_path).serving("default").name == "default@n0001"
    [lesson] = store.lessons("default")
    assert (lesson.status, lesson.night) == ("learned", 1)
    names = {path.name for path in (tmp_path / "nights" / "0001").iterdir()}
    assert names == {
        "settings.json", "lessons.json", "scenes.jsonl", "before.json", "metrics.jsonl", "exam.json", "verdict.json",
        "report.html", "ledger.jsonl",
    }  # fmt: skip


def test_an_empty_night_is_a_visible_skipped(tmp_path, store):
    night = slept(tmp_path, store)
    assert night.verdict == "skipped" and "Nothing new" in night.reasons[0]["text"] and night.exit_code == 0
    assert [n.verdict for n in history.nights(tmp_path)] == ["skipped"]
    assert (tmp_path / "nights" / "0001" / "report.html").is_file()


def test_a_second_night_keeps_the_first_and_learns_only_what_is_new(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store)
    store.add(correction(2))
    rooms = CheapRooms()
    night = slept(tmp_path, store, rooms)
    assert night.verdict == "promoted" and night.parent == "default@n0001"
    assert {scene.lesson for scene in rooms.trained_with} == {row["lesson"] for row in night.lessons}
    exam = find(tmp_path, 2).read("exam.json")
    assert len(exam["after"]["earlier"]) == 3 and all(row["right"] for row in exam["after"]["earlier"])


def test_a_lost_earlier_night_is_dreamed_again_so_that_its_lessons_are_examined(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store)
    (tmp_path / "nights" / "0001" / "scenes.jsonl").unlink()
    store.add(correction(2))
    slept(tmp_path, store)
    assert len(find(tmp_path, 2).read("exam.json")["after"]["earlier"]) == 3


def test_what_the_assistant_or_nobody_said_is_never_learned(tmp_path, store):
    store.add_many(
        [correction(1, source="assistant"), correction(2, source="unknown"), correction(3, source="tool:web")]
    )
    night = slept(tmp_path, store)
    assert night.verdict == "skipped"
    assert {row["why"] for row in find(tmp_path, 1).read("lessons.json")["came_in"]} == {
        "assistant may not teach", "unknown may not teach", "tool may not teach"
    }  # fmt: skip


def test_what_may_no_longer_teach_is_not_rehearsed(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store)
    store.add(correction(2, source="tool:web"))
    night = slept(tmp_path, store, permitted=("tool",))
    assert night.verdict == "promoted" and len(night.lessons) == 1
    assert find(tmp_path, 2).read("lessons.json")["earlier"] == []
    assert find(tmp_path, 2).read("exam.json")["after"]["earlier"] == []


def test_no_exam_question_is_trained_on(tmp_path, store):
    class Leaky(CheapRooms):
        def dream(self, lessons, earlier, **options):
            scenes = super().dream(lessons, earlier, **options)
            asked = next(scene for scene in scenes if scene.split == "exam")
            return [*scenes, replace(asked, id="leak", split="train")]

    store.add(correction(1))
    rooms = Leaky()
    assert slept(tmp_path, store, rooms).verdict == "promoted"
    assert "leak" not in {scene.id for scene in rooms.trained_with}


def test_a_lesson_that_does_not_stick_is_told_and_given_up_after_some_nights(tmp_path, store):
    store.add(correction(1))
    for _ in range(2):
        night = slept(tmp_path, store, CheapRooms(teachable=False), attempts=2)
        assert night.verdict == "rejected" and night.lessons[0]["outcome"] == "not learned"
    assert store.lessons("default")[0].status == "unlearned"
    assert slept(tmp_path, store, attempts=2).verdict == "skipped"
    assert Registry(tmp_path).serving("default").name == "default@base"


def test_what_was_learned_earlier_is_not_trained_on_tonights_exam_questions(tmp_path, store):
    class Overlapping(CheapRooms):
        held = ()

        def dream(self, lessons, earlier, **options):
            scenes = super().dream(lessons, earlier, **options)
            trained = [scene for scene in earlier if scene.split == "train"]
            of = {"lesson": lessons[0].id, "lineage": lessons[0].experiences, "split": "exam"}
            return [*scenes, *(replace(scene, id="again", **of) for scene in trained[:1])]

        def train(self, scenes, earlier, **options):
            self.held = list(earlier)
            return super().train(scenes, earlier, **options)

    rooms = Overlapping()
    for number in (1, 2):
        store.add(correction(number))
        slept(tmp_path, store, rooms)
    asked = {row["messages"][-1]["content"] for row in find(tmp_path, 2).read("scenes.jsonl") if row["split"] == "exam"}
    assert len(rooms.held) == 2 and not asked & {scene.messages[-1]["content"] for scene in rooms.held}


def test_the_newer_of_two_answers_to_one_question_is_the_lesson(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store)
    changed = correction(1)
    messages = (*changed.messages, {"role": "user", "content": "It has changed."})
    store.add(replace(changed, id="later", messages=messages, outcome=Outcome(-1, "The code is Heron9.")))
    assert slept(tmp_path, store).verdict == "promoted"
    assert find(tmp_path, 2).read("lessons.json")["earlier"] == []  # it would be held against the new answer
    store.add(correction(3))
    assert slept(tmp_path, store).verdict == "promoted"
    assert [row["answer"] for row in find(tmp_path, 3).read("lessons.json")["earlier"]] == ["The code is Heron9."]
    history.undo(tmp_path, store, "default", 2)
    store.add(correction(4))
    slept(tmp_path, store)
    assert [row["answer"] for row in find(tmp_path, 4).read("lessons.json")["earlier"]] == ["The code is Walrus1."]


def test_nights_that_one_lesson_spoils_do_not_go_on_for_ever(tmp_path, store):
    store.add(correction(1))
    for _ in range(4):
        night = slept(tmp_path, store, CheapRooms(retention=worse(drift=9.0)), attempts=2)
        assert (night.verdict, night.lessons[0]["outcome"]) == ("rejected", "learned")
    assert store.lessons("default")[0].status == "unlearned"


def test_a_lesson_that_was_given_up_is_due_again_once_a_person_approves_it(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store, CheapRooms(teachable=False), attempts=1)
    [lesson] = store.lessons("default")
    assert lesson.status == "unlearned"
    store.set_status(lesson.id, "approved")
    assert slept(tmp_path, store, attempts=1).verdict == "promoted"


def test_what_is_edited_while_a_night_learns_it_is_still_due(tmp_path, store):
    class Edited(CheapRooms):
        def train(self, *args, **options):
            store.edit_lesson(store.lessons("default")[0].id, answer="The code is Heron1.")
            return super().train(*args, **options)

    store.add(correction(1))
    assert slept(tmp_path, store, Edited()).verdict == "promoted"
    assert store.lessons("default")[0].status == "proposed"


def test_a_lesson_that_is_too_long_is_told_and_spoils_no_night(tmp_path, store):
    store.add(correction(1))
    store.add(replace(correction(2), outcome=Outcome(-1, "It is " + "very " * 1000 + "long.")))
    night = slept(tmp_path, store)
    assert night.verdict == "promoted" and len(night.lessons) == 1
    assert any("too long" in row["why"] for row in find(tmp_path, 1).read("lessons.json")["came_in"])


def test_an_edited_lesson_gets_new_attempts(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store, CheapRooms(teachable=False), attempts=2)
    store.edit_lesson(store.lessons("default")[0].id, answer="The code is Heron1.")
    slept(tmp_path, store, CheapRooms(teachable=False), attempts=2)
    assert store.lessons("default")[0].status == "proposed"


def test_examinations_report_each_part_and_never_go_back(tmp_path, store):
    store.add(correction(1))
    sleep, told = sleeper(tmp_path, store, CheapRooms(retention_at={"1.00": worse(drift=0.2)})), []
    sleep.progress = lambda what, done, total: told.append((what, done, total))
    sleep.run()
    assert [row[1:] for row in told if row[0] == "exam before"] == [(0, 2), (1, 2), (2, 2)]
    of = 2 * len(FRACTIONS)  # the second candidate does
    assert [row[1:] for row in told if row[0] == "examine"] == [*((done, of) for done in range(5)), (of, of)]


def test_weights_go_back_towards_the_old_until_nothing_is_lost(tmp_path, store):
    store.add(correction(1))
    night = slept(tmp_path, store, CheapRooms(retention_at={"1.00": worse(drift=0.2)}))
    assert night.verdict == "promoted" and night.exam["strength"] == FRACTIONS[1]
    tries = find(tmp_path, 1).read("exam.json")["tries"]
    assert [(t["fraction"], t["verdict"]) for t in tries] == [(1.0, "rejected"), (FRACTIONS[1], "promoted")]


def test_a_candidate_that_its_answers_reject_does_not_sit_the_panel(tmp_path, store):
    store.add(correction(1))
    rooms, sat = CheapRooms(spreads_at={"1.00"}), []
    examine = rooms.examine
    rooms.examine = lambda *args, **options: sat.append(examine(*args, **options)) or sat[-1]
    night = slept(tmp_path, store, rooms)
    assert [result.retention is not None for result in sat] == [True, False, True]  # before, 1.0, the next
    assert night.verdict == "promoted" and night.exam["strength"] == FRACTIONS[1]
    first, second = find(tmp_path, 1).read("exam.json")["tries"]
    assert first["verdict"] == "rejected" and any("near misses are now answered" in text for text in first["failed"])
    assert set(first["taken_over"].values()) == {"The code is Walrus1."} and second["taken_over"] == {}


def test_a_night_whose_every_strength_spreads_is_rejected_and_told(tmp_path, store):
    store.add(correction(1))
    night = slept(tmp_path, store, CheapRooms(spreads_at={f"{fraction:.2f}" for fraction in FRACTIONS}))
    assert night.verdict == "rejected" and any("near misses are now answered" in r["text"] for r in night.reasons)
    assert (tmp_path / "nights" / "0001" / "report.html").is_file()


def test_a_night_that_loses_something_at_every_strength_is_rejected(tmp_path, store):
    store.add(correction(1))
    night = slept(tmp_path, store, CheapRooms(retention=worse(drift=0.2)))
    assert night.verdict == "rejected" and any("Drift" in r["text"] and not r["ok"] for r in night.reasons)
    assert Registry(tmp_path).serving("default").name == "default@base"
    assert store.lessons("default")[0].status == "proposed"


def test_without_a_panel_a_night_could_not_run(tmp_path, store):
    store.add(correction(1))
    night = slept(tmp_path, store, CheapRooms(panel=""))
    assert night.verdict == "could not run" and night.exit_code == 1
    assert Registry(tmp_path).serving("default").name == "default@base"


def test_approval_can_be_demanded(tmp_path, store):
    store.add(correction(1))
    night = slept(tmp_path, store, require_approval=True)
    assert night.verdict == "skipped" and "approval" in night.reasons[0]["text"]
    store.set_status(store.lessons("default")[0].id, "approved")
    assert slept(tmp_path, store, require_approval=True).verdict == "promoted"


@pytest.mark.parametrize(
    ("error", "said"), [(KeyboardInterrupt(), "interrupted"), (TrainingError("Too many NaN."), "NaN")]
)
def test_interruption_and_failure_are_errored_nights_that_change_nothing(tmp_path, store, error, said):
    store.add(correction(1))
    night = slept(tmp_path, store, CheapRooms(fails=error))
    assert night.verdict == "errored" and said in night.reasons[0]["text"] and night.exit_code == 1
    assert Registry(tmp_path).serving("default").name == "default@base"
    assert slept(tmp_path, store).verdict == "promoted"


def test_a_defect_of_ours_is_recorded_and_not_hidden(tmp_path, store):
    store.add(correction(1))
    with pytest.raises(ZeroDivisionError):
        slept(tmp_path, store, CheapRooms(fails=ZeroDivisionError("division by zero")))
    assert [night.verdict for night in history.nights(tmp_path)] == ["errored"]


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


def test_two_cannot_sleep_at_once(tmp_path, store):
    with Lease(tmp_path), pytest.raises(LeaseHeld):
        slept(tmp_path, store)
    assert history.nights(tmp_path) == []


def test_a_sleeper_that_lost_its_lease_promotes_nothing(tmp_path, store):
    class Stolen(CheapRooms):
        def train(self, *args, **options):
            (tmp_path / "sleep.lock").unlink()  # somebody tidied up, and another sleeper came
            Lease(tmp_path).release()
            return super().train(*args, **options)

    store.add(correction(1))
    with pytest.raises(LeaseHeld):
        slept(tmp_path, store, Stolen())
    assert Registry(tmp_path).serving("default").name == "default@base"
    assert store.lessons("default")[0].status == "proposed"


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


def test_a_decided_night_is_promoted_as_what_it_was_examined_as(tmp_path, store, monkeypatch):
    """Killed between the verdict and the deed; then the settings change, and the model with them."""
    store.add(correction(1))
    promote = Sleep._promote
    monkeypatch.setattr(Sleep, "_promote", lambda *_: (_ for _ in ()).throw(OutOfSpace("No space left.", "")))
    with pytest.raises(OutOfSpace):
        slept(tmp_path, store)
    monkeypatch.setattr(Sleep, "_promote", promote)
    other = CheapRooms()
    other.identity = lambda: Identity("another base", "template")
    night = slept(tmp_path, store, other)
    assert (night.night, night.verdict) == (1, "errored") and "another one" in night.reasons[0]["text"]
    assert Registry(tmp_path).serving("default").name == "default@base"


def test_a_decided_night_keeps_the_preset_that_it_was_trained_with(tmp_path, store, monkeypatch):
    store.add(correction(1))
    promote = Sleep._promote
    monkeypatch.setattr(Sleep, "_promote", lambda *_: (_ for _ in ()).throw(OutOfSpace("No space left.", "")))
    with pytest.raises(OutOfSpace):
        slept(tmp_path, store)
    monkeypatch.setattr(Sleep, "_promote", promote)
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


def test_personas_share_the_numbers_and_nothing_else(tmp_path, store):
    store.add_many([correction(1), correction(2, persona="ann")])
    assert slept(tmp_path, store, persona="ann").adapter == "ann@n0001"
    assert slept(tmp_path, store).adapter == "default@n0002"
    assert Registry(tmp_path).serving("ann").name == "ann@n0001"


def test_json_of_sleep_and_nights_as_the_design_has_them(tmp_path, store):
    store.add(correction(1))
    row = history.summary_json(slept(tmp_path, store))
    assert {"night", "verdict", "adapter", "lessons", "exam", "seconds"} <= row.keys()
    listed = history.nights_json(tmp_path, Registry(tmp_path), "default")
    assert json.loads(json.dumps(listed, allow_nan=False))["nights"] == json.loads(json.dumps([row]))
    assert listed["serving"] == "default@n0001"
