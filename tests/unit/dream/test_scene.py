"""The dreamer as a whole: what is trained is never examined, everything else is the base's, and the seed decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from slowwave.dream import bank, forms
from slowwave.dream.cues import strip
from slowwave.exam.match import normalise
from slowwave.records import Lesson, Scene

Dreamer = Callable[..., Any]
Lessons = dict[str, Lesson]
KINDS = ("apply", "near_miss")


def said(scenes: Sequence[Scene], **fields: Any) -> set[str]:
    """The normalised messages of the scenes with these fields."""
    return {
        normalise(s.messages[-1]["content"])
        for s in scenes
        if all(getattr(s, name) == value for name, value in fields.items())
    }


@pytest.mark.parametrize("seed", range(2))
def test_no_exam_question_is_trained_tonight(dreamer: Dreamer, lessons: Lessons, seed: int) -> None:
    scenes = dreamer().dream(list(lessons.values()), seed=seed)
    assert said(scenes, split="exam") and said(scenes, split="train")
    assert not said(scenes, split="exam") & said(scenes, split="train")


@pytest.mark.parametrize("seed", range(2))
def test_no_exam_question_of_an_earlier_night_is_trained(dreamer: Dreamer, lessons: Lessons, seed: int) -> None:
    """The earlier exams took up what this night would train: its own wordings, bank messages and twins."""
    tonight = dreamer().dream(list(lessons.values()), seed=seed)
    taken = [s for s in tonight if s.split == "train" and s.family not in ("given", "prose")][::2]
    earlier = [replace(s, split="exam", family="near") for s in taken]
    again = dreamer().dream(list(lessons.values()), earlier=earlier, seed=seed)
    assert len(earlier) > 20
    assert not said(earlier) & said(again, split="train")


@pytest.mark.parametrize("seed", range(2))
def test_training_and_exam_share_no_wording_family_of_a_lesson(dreamer: Dreamer, lessons: Lessons, seed: int) -> None:
    asked = list(lessons.values())
    families: dict[tuple[str | None, str], set[str]] = {}
    for scene in dreamer().dream(asked, seed=seed):
        if scene.kind == "apply":
            families.setdefault((scene.lesson, scene.split), set()).add(scene.family.split(" ")[0])
    for lesson in asked:
        train, exam = families[lesson.id, "train"], families[lesson.id, "exam"]
        assert train and exam and not train & exam
        if lesson.kind == "answer":
            held_out = set(forms.EXAM_FORMS[int(lesson.id, 16) % len(forms.EXAM_FORMS)]) | forms.EXAM_FRAMES
            assert exam <= held_out | {"thesaurus:exam"} and not train & held_out


def test_lineage_authority_weight_and_check_come_from_the_lesson(dreamer: Dreamer, lessons: Lessons) -> None:
    by_id = {lesson.id: lesson for lesson in lessons.values()}
    for scene in dreamer().dream(list(lessons.values())):
        lesson = by_id.get(scene.lesson or "")
        if lesson is None:
            assert (scene.kind, scene.lineage, scene.authority, scene.weight) == ("ordinary", (), "assistant", 1.0)
            continue
        assert (scene.lineage, scene.authority) == (lesson.experiences, lesson.authority)
        apply = scene.kind == "apply"
        assert scene.weight == (lesson.salience if apply else 1.0)
        assert bool(scene.check.any_of) == apply and (not apply or scene.check == lesson.check)


def test_near_misses_and_ordinary_scenes_keep_the_bases_answer(dreamer: Dreamer, lessons: Lessons, engine: Any) -> None:
    scenes = [s for s in dreamer().dream(list(lessons.values())) if s.kind != "apply" and s.family != "prose"]
    assert {s.kind for s in scenes} == {"near_miss", "ordinary"}
    for scene in scenes:
        reply = engine.reply(scene.messages[-1]["content"])
        if scene.answer == reply.text:
            assert scene.ended == (reply.finish == "stop")
        else:  # its message waits for a body, too, and got a longer reply than a near miss keeps
            assert scene.kind == "near_miss" and not scene.ended
            assert reply.text.startswith(scene.answer or "?") and len((scene.answer or "").split()) == 16
    assert {s.ended for s in scenes} == {True, False}
    assert engine.version == "served"  # as it was before


def test_the_counts_are_those_of_the_settings(dreamer: Dreamer, lessons: Lessons) -> None:
    settings = {"apply": 6, "near_miss": 5, "exam_apply": 2, "exam_near_miss": 1, "ordinary": 7, "watch": 4, "prose": 3}
    settings |= {"composed": 20, "composed_near": 4}
    scenes = dreamer(**settings).dream([lessons["sister"]])
    composed = [s for s in scenes if s.family == "composed"]
    assert 16 <= len(composed) <= 20 and {(s.kind, s.split) for s in composed} == {("apply", "train")}
    counts = Counter((s.kind, s.split) for s in scenes if s.family != "composed")
    assert 4 <= counts["apply", "train"] <= 6 and counts["apply", "exam"] == 2
    assert counts["near_miss", "exam"] <= 1 and 7 <= counts["near_miss", "train"] + counts["near_miss", "exam"] <= 10
    families = Counter(s.family for s in scenes if s.kind == "ordinary")
    assert families["watch"] + families["bank"] <= 11 and families["prose"] == 3 and families["watch"] <= 4


def test_every_apply_scene_has_an_answer_and_a_lessons_own_question_is_trained(
    dreamer: Dreamer, lessons: Lessons
) -> None:
    scenes = dreamer().dream(list(lessons.values()))
    assert all(s.answer for s in scenes)
    for lesson in lessons.values():
        given = [s for s in scenes if s.lesson == lesson.id and s.family == "given"]
        if lesson.question is not None:
            assert [(s.split, s.messages[-1]["content"]) for s in given] == [("train", lesson.question)]
    assert all(
        s.answer == lessons["sister"].answer for s in scenes if s.lesson == lessons["sister"].id and s.check.any_of
    )


def test_the_same_seed_gives_the_same_scenes_and_another_seed_others(dreamer: Dreamer, lessons: Lessons) -> None:
    asked = list(lessons.values())
    first = dreamer().dream(asked, seed=3)
    assert dreamer().dream(asked, seed=3) == first
    assert said(dreamer().dream(asked, seed=4)) != said(first)


def test_what_is_composed_builds_on_nothing_that_the_exam_asks(dreamer: Dreamer, lessons: Lessons) -> None:
    scenes = dreamer(composed=300).dream([lessons["sister"], lessons["deploy"]])
    composed = said(scenes, family="composed")
    assert len(composed) > 300
    for asked in said(scenes, split="exam", kind="apply"):
        assert not any(f" {asked} " in f" {text} " for text in composed)


def test_ids_are_unique(dreamer: Dreamer, lessons: Lessons) -> None:
    scenes = dreamer().dream(list(lessons.values()))
    assert len({s.id for s in scenes}) == len(scenes)


@pytest.mark.parametrize("how", ["deadline", "samples"])
def test_without_generation_frames_and_thesaurus_give_the_wordings(
    dreamer: Dreamer, lessons: Lessons, engine: Any, how: str
) -> None:
    settings, options = ({"samples": 0}, {}) if how == "samples" else ({}, {"deadline": float("-inf")})
    scenes = dreamer(**settings).dream([lessons["sister"], lessons["deploy"]], **options)
    assert engine.completions == []
    for lesson in (lessons["sister"], lessons["deploy"]):
        families = {s.family.split(" ")[0].split(":")[0] for s in scenes if s.lesson == lesson.id and s.kind == "apply"}
        assert families <= {"given", "frame", "thesaurus", "composed"} and {"given", "frame"} <= families
        assert sum(s.lesson == lesson.id and s.split == "train" and s.kind == "apply" for s in scenes) >= 5


def test_generated_wordings_are_used_and_told_of(dreamer: Dreamer, lessons: Lessons, engine: Any) -> None:
    told: list[tuple[str, int, int]] = []
    scenes = dreamer(samples=3).dream([lessons["deploy"]], on_progress=lambda *row: told.append(row))
    assert {options["temperature"] for options in engine.completions} == {0.8}
    assert {s.family for s in scenes if s.kind == "apply"} & set(forms.FORMS)
    assert {what for what, _, _ in told} == {"dreaming wordings", "asking the base"}
    assert all(0 < done <= of for _, done, of in told)


def test_an_anchor_that_asks_what_a_lesson_of_tonight_answers_is_dropped(
    dreamer: Dreamer, make_lesson: Callable[..., Lesson]
) -> None:
    """A bank message is taught: as an anchor of another lesson it would hold the old answer."""
    message = bank.ordinary()[10]
    settings = {"ordinary": 5000, "watch": 0, "prose": 0}
    plain = dreamer(**settings).dream([])
    assert normalise(message) in said(plain, kind="ordinary")
    lesson = make_lesson(message, "Quite another answer.")
    assert normalise(message) not in said(dreamer(**settings).dream([lesson]), kind="ordinary")
    reworded = make_lesson(f"Please {message}", "Quite another answer.")
    assert normalise(message) not in said(dreamer(**settings).dream([reworded]), kind="ordinary")


def test_the_smallest_changes_are_kept_however_near_they_lie(
    dreamer: Dreamer, make_lesson: Callable[..., Lesson], embedder: Any
) -> None:
    question = "On which day of the week is the next lesson of my evening class in town?"
    scenes = dreamer().dream([make_lesson(question, "On Friday.")])
    texts = [s.messages[-1]["content"] for s in scenes if s.kind == "near_miss"]
    assert (embedder.embed(texts) @ embedder.embed([question])[0]).max() > 0.9


def test_an_anchor_that_asks_what_an_earlier_lesson_answers_is_dropped(dreamer: Dreamer) -> None:
    message = bank.ordinary()[10]
    earlier = Scene("s", "old", "apply", ({"role": "user", "content": message},), "Taught.", "given")
    scenes = dreamer(ordinary=5000, watch=0, prose=0).dream([], earlier=[earlier])
    assert normalise(message) not in said(scenes)


def test_an_earlier_lessons_question_is_no_near_miss_tonight(
    dreamer: Dreamer, lessons: Lessons, make_lesson: Callable[..., Lesson]
) -> None:
    """The night before taught the neighbour's sister; tonight's near misses would ask the base for her name."""
    own = dreamer().dream([lessons["sister"]])
    miss = next(s for s in own if s.kind == "near_miss" and s.split == "train")
    earlier = replace(miss, kind="apply", family="given", lesson="old")
    again = dreamer().dream([lessons["sister"]], earlier=[earlier])
    assert said([miss]) <= said(own) and not said([miss]) & said(again)


def test_no_lessons_still_dream_of_ordinary_life(dreamer: Dreamer) -> None:
    scenes = dreamer().dream([])
    assert Counter(s.family for s in scenes) == {"watch": 3, "bank": 12, "prose": 2}
    prose = [s for s in scenes if s.family == "prose"]
    passages = {f"Continue this text: {opening}": rest for opening, rest in bank.prose()}
    assert all(s.answer == passages[s.messages[-1]["content"]] for s in prose)


def test_a_bare_note_gets_a_question_and_an_answer_that_passes_or_the_note(dreamer: Dreamer, lessons: Lessons) -> None:
    scenes = [s for s in dreamer().dream([lessons["note"]]) if s.kind == "apply"]
    assert scenes
    for scene in scenes:
        assert scene.answer == lessons["note"].note or "bergen" in (scene.answer or "").lower()


@pytest.mark.parametrize("name", ["sister", "deploy", "vorland", "ahoy", "over", "brief"])
def test_every_kind_of_lesson_gets_many_different_scenes(dreamer: Dreamer, lessons: Lessons, name: str) -> None:
    scenes = dreamer(apply=6, composed=40, composed_near=12, near_miss=4).dream([lessons[name]])
    trained = [s for s in scenes if s.lesson == lessons[name].id and s.split == "train"]
    texts = {kind: {normalise(s.messages[-1]["content"]) for s in trained if s.kind == kind} for kind in KINDS}
    assert len(texts["apply"]) >= 36 and len(texts["near_miss"]) >= 12
    assert not texts["apply"] & texts["near_miss"]


def test_two_habits_of_a_night_meet_the_same_messages(dreamer: Dreamer, lessons: Lessons, engine: Any) -> None:
    scenes = dreamer(ordinary=0, watch=0).dream([lessons["ahoy"], lessons["brief"]])
    trained = [s for s in scenes if s.family == "cue"]
    bare = {
        lesson.id: {
            normalise(strip(s.messages[-1]["content"], (lesson.cue or "").split("|")[1]))
            for s in trained if s.lesson == lesson.id
        }
        for lesson in (lessons["ahoy"], lessons["brief"])
    }  # fmt: skip
    first, second = bare.values()
    assert len(first & second) >= 0.9 * min(len(first), len(second)) > 20
    assert len(engine.asked) < 1.5 * (len(first) + 40)  # and each is asked once


def test_what_is_declined_is_among_the_anchors_of_every_night(dreamer: Dreamer, lessons: Lessons) -> None:
    for seed in range(3):
        scenes = dreamer(ordinary=24).dream([lessons["sister"]], seed=seed)
        asked = {s.messages[-1]["content"] for s in scenes if s.kind == "ordinary"}
        assert len(asked & set(bank.declined())) >= 4


def test_no_habit_is_taught_on_what_is_declined(dreamer: Dreamer, lessons: Lessons) -> None:
    forbidden = {normalise(text) for text in bank.declined()}
    for name in ("over", "brief"):
        cue = (lessons[name].cue or "").split("|")[1]
        for seed in range(3):
            habits = [s for s in dreamer().dream([lessons[name]], seed=seed) if s.kind == "apply"]
            assert habits and not {normalise(strip(s.messages[-1]["content"], cue)) for s in habits} & forbidden


def test_a_rewording_that_is_no_sentence_is_not_used(dreamer: Dreamer, lessons: Lessons, engine: Any) -> None:
    trained = lambda: said(dreamer(samples=0).dream([lessons["deploy"]]), kind="apply", split="train")  # noqa: E731
    assert any("internet page" in text for text in trained())
    engine.unlikely = "internet page"
    assert trained() and not any("internet page" in text for text in trained())


def test_a_wide_night_uses_words_and_sentences_that_a_narrow_one_does_not(dreamer: Dreamer, make_lesson: Any) -> None:
    """And says its near misses in them, too: an odd word alone must not tell that the lesson is meant."""
    lesson = make_lesson("Where does my book club meet?", "Your book club meets at the mill.")
    narrow, wide = (dreamer(composed=300, composed_near=48, wide=wide).dream([lesson]) for wide in (False, True))
    groups, further = bank.thesaurus(wide=True)
    known = {member for group in bank.thesaurus()[0] for member in group}
    more = {member for group in (*groups, *further) if "book club" in group for member in group} - known - {"book club"}
    found = lambda scenes, kind: [t for t in said(scenes, kind=kind) if any(member in t for member in more)]  # noqa: E731
    assert more and not found(narrow, "apply") and found(wide, "apply") and found(wide, "near_miss")
    form = "I'm having a label made for"
    assert not any(normalise(form) in text for text in said(narrow)) and any(normalise(form) in t for t in said(wide))
    assert len(said(wide, family="composed")) >= len(said(narrow, family="composed"))
