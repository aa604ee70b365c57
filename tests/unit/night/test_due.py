"""Which lessons a night takes, which it holds, and which it gives up."""

from dataclasses import replace

from slowwave.models.registry import Registry
from slowwave.night import gather, history
from slowwave.night.folder import find
from slowwave.night.lessons import extract, from_note
from slowwave.records import Outcome
from tests.unit.night.cheap import CheapRooms, correction, sleeper, slept, worse


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


def test_a_lesson_that_does_not_stick_is_told_and_given_up_after_some_nights(tmp_path, store):
    store.add(correction(1))
    for _ in range(2):
        night = slept(tmp_path, store, CheapRooms(teachable=False), attempts=2)
        assert night.verdict == "rejected" and night.lessons[0]["outcome"] == "not learned"
    assert store.lessons("default")[0].status == "unlearned"
    assert slept(tmp_path, store, attempts=2).verdict == "skipped"
    assert Registry(tmp_path).serving("default").name == "default@base"


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


class Forgetful(CheapRooms):
    """Its second night has overwritten what its first one taught."""

    def examine(self, version, **options):
        return super().examine(version if self.trainings else None, **options)


def test_an_answer_that_was_learned_is_learned_again_when_it_is_said_after_another(tmp_path, store):
    changed = correction(1)
    said = lambda *more: (*changed.messages, *({"role": "user", "content": text} for text in more))  # noqa: E731
    at = lambda day: f"2026-03-{day:02d}T09:00:00Z"  # noqa: E731
    store.add(changed)
    slept(tmp_path, store)
    heron = Outcome(-1, "The code is Heron9.")
    store.add(replace(changed, id="e2", time=at(2), messages=said("It has changed."), outcome=heron))
    slept(tmp_path, store)
    store.add(replace(changed, id="e3", time=at(3), messages=said("It has changed.", "And back.")))
    night = slept(tmp_path, store, Forgetful())
    assert night.verdict == "promoted"
    lessons = find(tmp_path, night.night).read("lessons.json")
    assert [row["answer"] for row in lessons["lessons"]] == ["The code is Walrus1."] and lessons["earlier"] == []
    held = {lesson.answer: (lesson.status, lesson.night) for lesson in store.lessons("default")}
    assert held["The code is Walrus1."] == ("learned", night.night)
    assert slept(tmp_path, store).verdict == "skipped", "once"
    history.undo(tmp_path, store, "default", 2)
    held = {lesson.answer: (lesson.status, lesson.night) for lesson in store.lessons("default")}
    assert held == {"The code is Walrus1.": ("learned", 1), "The code is Heron9.": ("undone", 2)}, "as is served again"


def test_of_what_was_said_once_more_and_undone_nothing_is_learned_until_it_is_approved(tmp_path, store):
    changed = correction(1)
    for day, outcome in ((1, changed.outcome), (2, Outcome(-1, "The code is Heron9.")), (3, changed.outcome)):
        store.add(replace(changed, id=f"e{day}", time=f"2026-03-0{day}T09:00:00Z", outcome=outcome))
        slept(tmp_path, store, Forgetful())
    history.undo(tmp_path, store, "default", 3)
    held = {lesson.answer: lesson.status for lesson in store.lessons("default")}
    assert held == {"The code is Walrus1.": "undone", "The code is Heron9.": "learned"}
    assert slept(tmp_path, store).verdict == "skipped"


def test_a_habit_that_is_taught_again_outlives_the_chat_in_which_it_was_said(tmp_path, store):
    rule = 'When I say "Ahoy", begin with "{}"'
    for day, phrase in ((1, "Aye aye!"), (2, "Moin!")):
        said = ({"role": "user", "content": rule.format(phrase)}, {"role": "assistant", "content": "I will."})
        time = f"2026-03-0{day}T09:00:00Z"
        store.add(replace(correction(day), time=time, messages=said, outcome=Outcome()))
        lesson = extract(store.experience(f"e{day}"))
        gather._keep(store, lesson)
        store.set_status(lesson.id, "learned", night=day)
    again = from_note(rule.format("Aye aye!"), "default")
    store.save_lesson(again)
    gather._keep(store, extract(store.experience("e1")))
    lessons = store.lessons("default")
    chosen = gather.newest(
        lessons, gather.said_last(store, "default", lessons), sleeper(tmp_path, store).settings.night
    )
    assert [one.id for one in chosen] == [again.id]


def test_where_approval_is_asked_for_an_answer_said_once_more_waits_for_it(tmp_path, store):
    changed = correction(1)
    store.add(changed)
    gathered = lambda: gather.gather(store, "default", sleeper(tmp_path, store, require_approval=True).settings, {})  # noqa: E731
    scored = lambda: CheapRooms().score(store, "default", None)  # noqa: E731
    scored()
    gathered()
    (first,) = store.lessons("default")
    store.set_status(first.id, "learned", night=1)
    heron = replace(changed, id="e2", time="2026-03-02T09:00:00Z", outcome=Outcome(-1, "The code is Heron9."))
    store.add(heron)
    scored()
    gathered()
    store.set_status(next(one.id for one in store.lessons("default") if one.id != first.id), "learned", night=2)
    store.add(replace(changed, id="e3", time="2026-03-03T09:00:00Z"))
    scored()
    found = gathered()
    assert found.lessons == [] and found.waiting == 1 and store.lesson(first.id).status == "proposed"


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


def test_an_approval_while_a_night_learns_a_lesson_does_not_make_it_another(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store, CheapRooms(teachable=False), attempts=2)
    lessons = store.lessons("default")
    store.set_status(lessons[0].id, "approved")
    assert gather.same(store, lessons)
    store.edit_lesson(lessons[0].id, answer="The code is Heron1.")
    assert not gather.same(store, lessons)


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


def test_approval_can_be_demanded(tmp_path, store):
    store.add(correction(1))
    night = slept(tmp_path, store, require_approval=True)
    assert night.verdict == "skipped" and "approval" in night.reasons[0]["text"]
    store.set_status(store.lessons("default")[0].id, "approved")
    assert slept(tmp_path, store, require_approval=True).verdict == "promoted"
