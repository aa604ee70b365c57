"""A whole sleep without a model: what comes in, what is decided, what is left behind."""

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from slowwave.config import NightSettings
from slowwave.dream.diversity import Diversity
from slowwave.errors import LeaseHeld, TrainingError
from slowwave.exam.match import normalise
from slowwave.models.registry import Registry
from slowwave.night import folder, history, past
from slowwave.night.folder import find
from slowwave.night.lease import Lease
from slowwave.night.ledger import now
from slowwave.night.report import report
from slowwave.night.rooms import FRACTIONS
from slowwave.night.waking import waiting
from slowwave.records import Outcome
from tests.unit.night.cheap import CheapRooms, correction, sleeper, slept, worse


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
        "report.html", "ledger.jsonl", "prompt.json", "dreams.json",
    }  # fmt: skip


def test_what_is_learned_leaves_the_prompt_and_the_report_says_how_much_that_is(tmp_path, store):
    store.add(correction(1))
    night = slept(tmp_path, store)
    folder = find(tmp_path, 1)
    prompt = folder.read("prompt.json")
    [lesson] = store.lessons("default")
    assert prompt == {"lessons": 1, "tokens_a_turn": len(lesson.note.split()), "turns": 1}
    console = Console(width=200, file=StringIO())
    console.print(report(night))
    tokens = f"{prompt['tokens_a_turn']:.1f} tokens a turn"
    told = f"1 lessons are in the weights and left the prompt, which is {tokens} shorter"
    assert told in console.file.getvalue() and told in (folder.path / "report.html").read_text()


def test_the_graph_holds_what_came_in_and_what_was_taught(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store)
    assert {node.kind for node in store.graph.load("default").nodes} >= {"experience", "lesson", "reflection"}


def test_the_judge_learns_from_the_labels_and_the_report_says_how_well(tmp_path, store):
    for number in range(1, 7):
        store.add(correction(number))
    rooms = CheapRooms()
    night = slept(tmp_path, store, rooms)
    assert len(rooms.labels) == 12 and {label.good for label in rooms.labels} == {True, False}
    assert find(tmp_path, 1).read("judge.json")["trusted"] is True
    told = "The judge agrees with 90% of 12 labels that it did not see (always the commoner one: 60%)"
    console = Console(width=200, file=StringIO())
    console.print(report(night))
    assert told in console.file.getvalue()
    assert told in (tmp_path / "nights" / "0001" / "report.html").read_text()


def test_an_erased_experience_is_dreamt_of_no_more(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store)
    store.add(correction(2))
    [first] = [lesson for lesson in store.lessons("default") if lesson.night == 1]
    store.erase(first.experiences[0])
    rooms = CheapRooms()
    slept(tmp_path, store, rooms)
    assert rooms.trained_with and first.id not in {scene.lesson for scene in rooms.trained_with}
    assert first.id not in (tmp_path / "nights" / "0002" / "lessons.json").read_text()


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


def test_no_exam_question_is_trained_on(tmp_path, store):
    class Leaky(CheapRooms):
        def scenes(self, lessons, earlier):
            scenes = super().scenes(lessons, earlier)
            asked = next(scene for scene in scenes if scene.split == "exam")
            return [*scenes, replace(asked, id="leak", split="train")]

    store.add(correction(1))
    rooms = Leaky()
    assert slept(tmp_path, store, rooms).verdict == "promoted"
    assert "leak" not in {scene.id for scene in rooms.trained_with}


def test_what_was_learned_earlier_is_not_trained_on_tonights_exam_questions(tmp_path, store):
    class Overlapping(CheapRooms):
        held = ()

        def scenes(self, lessons, earlier):
            scenes = super().scenes(lessons, earlier)
            trained = [scene for scene in earlier if scene.split == "train"]
            of = {"lesson": lessons[0].id, "lineage": lessons[0].experiences, "split": "exam"}
            return [*scenes, *(replace(scene, id="again", **of) for scene in trained[:1])]

        def train(self, scenes, earlier, **options):
            self.held, self.asked = list(earlier), options["asked"]
            return super().train(scenes, earlier, **options)

    rooms = Overlapping()
    for number in (1, 2):
        store.add(correction(number))
        slept(tmp_path, store, rooms)
    asked = {row["messages"][-1]["content"] for row in find(tmp_path, 2).read("scenes.jsonl") if row["split"] == "exam"}
    assert len(rooms.held) == 2 and not asked & {scene.messages[-1]["content"] for scene in rooms.held}
    before = [row for row in find(tmp_path, 1).read("scenes.jsonl") if row["split"] == "exam"]
    every = asked | {row["messages"][-1]["content"] for row in before}
    assert rooms.asked == {normalise(text) for text in every}, "which no round may dream"


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


@pytest.mark.parametrize("wished", [{"collided": 0.5}, {"written": 2}])
def test_lessons_are_collided_with_what_may_teach_alone(tmp_path, store, wished):
    """The memories and the graph go to the dreamer, also for what it writes itself; by default nothing is collided, and
    nothing is read."""
    for number in (1, 2):
        store.add(correction(number))
    rooms = CheapRooms()
    slept(tmp_path, store, rooms)
    assert rooms.memories == [] and rooms.graph is None
    store.add(correction(3))
    store.add(replace(correction(4), source="tool:x", authority="tool"))
    sleep = sleeper(tmp_path, store, rooms)
    dream = replace(sleep.settings.dream, **wished)
    sleep.settings = sleep.settings.model_copy(update={"dream": dream})
    sleep.run()
    lessons = {lesson.id for lesson in store.lessons("default")}
    kinds = [one.node.partition(":")[0] for one in rooms.memories]
    assert {one.node for one in rooms.memories} >= {f"lesson:{id}" for id in lessons} and len(lessons) == 3
    assert sorted(kinds) == ["lesson"] * 3 + ["reflection"], "and what the first night made of two of them"
    assert {node.id for node in rooms.graph.nodes} >= {one.node for one in rooms.memories}


def test_a_scene_with_an_erased_memory_in_it_is_rehearsed_no_more(tmp_path, store):
    """A lesson stands, but not the scene in which somebody's erased exchange came before."""
    met = correction(9)

    class Colliding(CheapRooms):
        def scenes(self, lessons, earlier):
            scenes = super().scenes(lessons, earlier)
            first = next(one for one in scenes if one.split == "train")
            with_it = replace(first, id="collided", lineage=(*first.lineage, met.id))
            return [*scenes, with_it]

        def train(self, scenes, earlier, **options):
            self.rehearsed = [scene.id for scene in earlier]
            return super().train(scenes, earlier, **options)

    def night(number):
        store.add(correction(number))
        rooms = Colliding()
        sleep = sleeper(tmp_path, store, rooms)
        sleep.settings = sleep.settings.model_copy(update={"dream": replace(sleep.settings.dream, collided=0.5)})
        sleep.run()
        return rooms

    store.add(
        replace(
            met,
            outcome=Outcome(),
            messages=(
                {"role": "user", "content": "How long do I steep tea?"},
                {"role": "assistant", "content": "Two minutes."},
            ),
        )
    )
    night(1)
    assert "collided" in (tmp_path / "nights" / "0001" / "scenes.jsonl").read_text()
    assert "collided" in night(2).rehearsed
    store.erase(met.id)
    rooms = night(3)
    assert rooms.rehearsed and "collided" not in rooms.rehearsed


def test_a_lesson_that_contradicts_a_learned_one_is_dreamt_with_it(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store)
    newer = correction(1)
    store.add(replace(newer, id="e9", time="2026-04-01T09:00:00Z", outcome=Outcome(-1, "The code is Heron9.")))
    rooms = CheapRooms()
    slept(tmp_path, store, rooms)
    older = {one.experiences: one for one in store.lessons("default")}[("e1",)]
    (newest,) = (one for one in store.lessons("default") if one.experiences == ("e9",))
    assert rooms.dreamt_with["older"] == {newest.id: older}


def test_of_two_answers_on_one_day_the_newer_is_learned_and_the_older_never(tmp_path, store):
    older, newer = correction(1), correction(1)
    store.add(older)
    store.add(replace(newer, id="e9", time="2026-03-01T10:00:00Z", outcome=Outcome(-1, "The code is Heron9.")))
    rooms = CheapRooms()
    slept(tmp_path, store, rooms)
    status = {one.answer: one.status for one in store.lessons("default")}
    assert status == {"The code is Walrus1.": "proposed", "The code is Heron9.": "learned"}
    assert [lesson.answer for lesson in waiting(store, "default", NightSettings())] == [], "not in the prompt either"
    store.add(correction(2))
    slept(tmp_path, store, rooms)
    status = {one.answer: one.status for one in store.lessons("default")}
    assert status["The code is Walrus1."] == "proposed" and status["The code is Walrus2."] == "learned"


def test_an_answer_that_waits_for_approval_does_not_hold_back_an_approved_one(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store, require_approval=True)
    store.set_status(store.lessons("default")[0].id, "approved")
    store.add(replace(correction(1), id="e9", time="2026-04-01T10:00:00Z", outcome=Outcome(-1, "The code is Heron9.")))
    assert slept(tmp_path, store, require_approval=True).verdict == "promoted"
    status = {one.answer: one.status for one in store.lessons("default")}
    assert status == {"The code is Walrus1.": "learned", "The code is Heron9.": "proposed"}


def test_the_report_tells_of_the_dreams_and_of_what_converged(tmp_path, store):
    for number in (1, 2):
        store.add(correction(number))
    told = lambda night: "".join(  # noqa: E731
        part for part in _printed(report(night)).split("\n") if part.startswith(("Dreams:", "Rounds:"))
    )
    first = slept(tmp_path, store, CheapRooms(diverse=Diversity(0.5, 0.25)), max_lessons=1)
    assert told(first) == "Dreams:  8 scenes; 7 tokens were written in 2 s; 50% of word pairs are new, spread 0.25."
    rooms = CheapRooms(converged=[])
    second = slept(tmp_path, store, rooms)
    assert "Rounds:  0 of 1 lessons converged. Not: " in told(second)
    assert rooms.dreamt_with["before"] == [Diversity(0.5, 0.25)]
    assert "0 of 1 lessons converged" in (second.folder / "report.html").read_text()


def _printed(what):
    out = StringIO()
    Console(file=out, width=300).print(what)
    return out.getvalue()


def test_dreams_are_held_against_the_first_ten_nights_of_their_persona(tmp_path):
    for number in range(1, 15):
        night = folder.create(tmp_path, {"persona": "other" if number == 2 else "default"})
        night.write("dreams.json", {"diversity": None if number == 3 else {"distinct": number / 100, "spread": 0.5}})
        if number != 4:  # not closed
            night.ledger.write("report", now(), [])
    kept = [round(100 * one.distinct) for one in past.diversities(tmp_path, "default")]
    assert kept == [1, 5, 6, 7, 8, 9, 10, 11, 12, 13]
