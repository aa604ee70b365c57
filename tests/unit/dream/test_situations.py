"""Collisions: who meets whom, what comes of it, and what must stay as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from slowwave.dream import chains, collide, registers, situations
from slowwave.dream.bank import stories
from slowwave.dream.collide import Collider, Collision, Memory
from slowwave.dream.make import scene
from slowwave.dream.settings import DreamSettings
from slowwave.dream.stand_in import of_another, stand_in
from slowwave.exam.match import normalise
from slowwave.memory.graph import Graph, Links
from slowwave.records import Lesson, Node, Scene

MEMORIES = [
    Memory("experience:tea", "How long do I steep green tea?", "Two minutes.", ("tea",), "tool"),
    Memory("experience:bins", "When are the bins emptied?", "On Thursdays.", ("bins",), "user"),
    Memory("experience:sister", "What is my sister's name again?", "Ilse.", ("other",), "user"),
    Memory("experience:own", "Who waters the plants?", "Your sister.", ("e1",), "user"),
    Memory("experience:far", "What is a lute?", "A stringed instrument.", ("far",), "user"),
]


def linked(lesson: Lesson, *rows: tuple[int, int]) -> Graph:
    """The lesson first, then the memories."""
    ids = [f"lesson:{lesson.id}", *(memory.node for memory in MEMORIES)]
    nodes = tuple(Node(id, "default", "experience", id, float(i)) for i, id in enumerate(ids))
    return Graph(nodes, np.zeros((len(nodes), 0), np.float32), Links.of([(a, b, "similar", 1.0) for a, b in rows]))


def names(collisions: list[Collision]) -> set[str]:
    return {collision.memory.node.partition(":")[2] for collision in collisions}


def met(collider: Collider, lesson: Lesson, seed: int, groups: int = 1) -> list[Collision]:
    return [one for group in collider.groups(lesson, groups, np.random.default_rng(seed)) for one in group]


def test_a_walk_finds_what_is_linked_and_says_by_which_way(lessons: dict[str, Lesson], embedder: Any) -> None:
    sister = lessons["sister"]
    collider = Collider(MEMORIES, embedder, linked(sister, (0, 1), (1, 2)))
    for seed in range(5):
        walked = [one for one in met(collider, sister, seed, 4) if one.path]
        assert names(walked) == {"tea", "bins"}, "lute is not linked to anything"
        paths = {one.memory.node: one.path for one in walked}
        assert (
            paths["experience:bins"][0] == f"lesson:{sister.id}" and paths["experience:bins"][-1] == "experience:bins"
        )
        assert "experience:tea" in paths["experience:bins"]


def test_walks_are_of_all_breadths(lessons: dict[str, Lesson], embedder: Any) -> None:
    """Among many memories in a row, some are met near the lesson and some far off."""
    row = [Memory(f"experience:{i}", f"Question {i} of another kind?", "Yes.", (f"e{i}",)) for i in range(30)]
    ids = [f"lesson:{lessons['sister'].id}", *(memory.node for memory in row)]
    nodes = tuple(Node(id, "default", "experience", id, float(i)) for i, id in enumerate(ids))
    links = Links.of([(i, i + 1, "similar", 1.0) for i in range(30)])
    collider = Collider(row, embedder, Graph(nodes, np.zeros((31, 0), np.float32), links))
    lengths = [len(one.path) for seed in range(40) for one in met(collider, lessons["sister"], seed, 2) if one.path]
    assert min(lengths) == 2 and max(lengths) > 6
    scenes = [situations.situated(scene(lessons["sister"], "apply", "Q?", "A.", "composed"), lessons["sister"], [one],
                       np.random.default_rng(0), "turns") for one in met(collider, lessons["sister"], 1)]  # fmt: skip
    assert all(len(one.walk) >= 2 and one.walk[0] == ids[0] for one in scenes if one.walk)
    assert any(one.walk for one in scenes)


def test_the_way_to_every_memory_of_a_situation_is_kept(lessons: dict[str, Lesson]) -> None:
    """The first may have been met by chance, over no way."""
    start, some = f"lesson:{lessons['sister'].id}", MEMORIES[:3]
    ways = [(), (start, "experience:x", some[1].node), (start, some[2].node)]
    met = [Collision(memory, way) for memory, way in zip(some, ways, strict=True)]
    one, seen = scene(lessons["sister"], "apply", "Q?", "A.", "composed"), set()
    for seed in range(30):
        made = situations.situated(one, lessons["sister"], met, np.random.default_rng(seed), "turns")
        many = len(made.messages) // 2
        assert made.ways == ways[1:many]
        seen.add(many)
    assert seen == {1, 2, 3}


def test_no_memory_of_the_lesson_itself_is_a_partner(lessons: dict[str, Lesson], embedder: Any) -> None:
    """What it comes from, and what is about the same thing: neither is far."""
    found = names([one for seed in range(20) for one in met(Collider(MEMORIES, embedder), lessons["sister"], seed)])
    assert found == {"tea", "bins", "far"}


def test_what_the_exam_asks_is_never_met(lessons: dict[str, Lesson], embedder: Any) -> None:
    sister, collider = lessons["sister"], Collider(MEMORIES, embedder)
    held = {normalise(memory.question) for memory in MEMORIES if memory.node == "experience:tea"}
    found = [one for group in collider.groups(sister, 20, np.random.default_rng(0), held) for one in group]
    assert held and names(found) == {"bins", "far"}


def test_up_to_three_memories_meet_that_are_far_apart(lessons: dict[str, Lesson], embedder: Any) -> None:
    sister = lessons["sister"]
    near = [Memory(f"experience:{i}", f"How long do I steep green tea number {i}?", "Long.", (f"n{i}",)) for i in "ab"]
    both_D = embedder.embed([near[0].question, near[1].question])
    assert float(both_D[0] @ both_D[1]) >= collide.FAR, "about the same thing"
    groups = Collider([*MEMORIES, *near], embedder).groups(sister, 40, np.random.default_rng(0))
    assert {len(group) for group in groups} == {3} and len(groups) == 40
    assert not [g for g in groups if len(names(g) & {"tea", "a", "b"}) > 1], "they would say one thing twice"
    told = scene(sister, "apply", sister.question or "", sister.answer, "composed")
    seen = [
        situations.situated(told, sister, group, np.random.default_rng(seed), "turns")
        for seed, group in enumerate(groups)
    ]
    assert {len(one.messages) for one in seen} == {3, 5, 7}
    assert all(len(one.lineage) == (len(one.messages) + 1) // 2 for one in seen), "and come from all of them"


def test_what_was_made_of_lessons_is_as_near_as_they_are(lessons: dict[str, Lesson], embedder: Any) -> None:
    """A reflection's own question says nothing of what it speaks of."""
    sister = lessons["sister"]
    made = lambda kind, *about: Memory(f"{kind}:x", "What did we settle lately?", "Ilse.", ("n",), "user", about)  # noqa: E731
    bins = MEMORIES[1]
    both = made("reflection", "How do I bake bread?", sister.question or "")
    found = Collider([both, MEMORIES[0]], embedder).groups(sister, 5, np.random.default_rng(0))
    assert names([one for group in found for one in group]) == {"tea"}, "it would say the answer before"
    skill = made("skill", bins.question)
    groups = Collider([bins, skill, MEMORIES[0]], embedder).groups(sister, 9, np.random.default_rng(0))
    assert all(not {"bins", "x"} <= names(group) for group in groups) and any("x" in names(group) for group in groups)
    told = scene(sister, "apply", sister.question or "", sister.answer, "composed")
    out = situations.situated(told, sister, [Collision(skill)], np.random.default_rng(0), "preface")
    assert "settl" not in out.messages[-1]["content"] and out.lineage == told.lineage
    out = situations.situated(told, sister, [Collision(skill), Collision(bins)], np.random.default_rng(0), "preface")
    assert set(out.lineage) == {*told.lineage, "bins"}


def test_a_lesson_without_links_meets_others_by_chance(lessons: dict[str, Lesson], embedder: Any) -> None:
    found = met(Collider(MEMORIES, embedder, linked(lessons["sister"])), lessons["sister"], 0, 3)
    assert len(found) == 9 and all(one.path == () for one in found)
    for nothing in ([], [MEMORIES[2]]):  # no memory at all, and none that is far
        groups = Collider(nothing, embedder).groups(lessons["sister"], 3, np.random.default_rng(0))
        assert groups == [[], [], []]


def test_what_just_went_on_stands_before_and_lowers_the_authority(lessons: dict[str, Lesson]) -> None:
    sister = lessons["sister"]
    told = scene(sister, "apply", sister.question or "", sister.answer, "composed")
    out = situations.situated(told, sister, [Collision(MEMORIES[0])], np.random.default_rng(0), "turns")
    assert [m["content"] for m in out.messages[:2]] == [MEMORIES[0].question, MEMORIES[0].answer]
    assert [m["role"] for m in out.messages] == ["user", "assistant", "user"]
    assert normalise("my sister's name") in normalise(out.messages[-1]["content"])
    assert out.authority == "tool" and set(out.lineage) == {"e1", "tea"}
    assert (out.answer, out.check, out.kind, out.lesson) == (told.answer, told.check, "apply", sister.id)
    assert out.id != told.id


@pytest.mark.parametrize("way", situations.WAYS)
def test_every_way_keeps_what_is_asked(lessons: dict[str, Lesson], way: str) -> None:
    sister = lessons["sister"]
    told = scene(sister, "apply", sister.question or "", sister.answer, "composed")
    for seed in range(30):
        met = [Collision(MEMORIES[1])]
        out = situations.situated(told, sister, met, np.random.default_rng(seed), way, [("Who is she?", "A nurse.")])
        assert "sister" in out.messages[-1]["content"].lower()
        assert "{" not in out.messages[-1]["content"]
        assert (len(out.messages) == 3) == (way in ("turns", "talk"))


def test_talk_about_what_is_near_stands_before_the_lesson(lessons: dict[str, Lesson]) -> None:
    """Of its own near misses alone, in whole sentences of what the base said, and never the question itself."""
    sister, other = lessons["sister"], lessons["ahoy"]
    brother = replace(
        scene(sister, "near_miss", "What is my brother's name?", "I can't know. Ask h", "near"), ended=False
    )
    cut = replace(scene(sister, "near_miss", "Who has sisters?", "Many people have sis", "near"), ended=False)
    whole = scene(sister, "near_miss", "What is a sister?", "A female sibling", "near")
    exam = scene(sister, "near_miss", "What is an aunt?", "A relative.", "near", "exam")
    twin = scene(sister, "near_miss", "What's a cousin?", "A relative.", "near")
    apart = scene(other, "near_miss", "What is a ship?", "A boat.", "near")
    said = scene(sister, "apply", sister.question or "", sister.answer, "composed")
    talk = situations.talks_of(sister, [brother, cut, whole, exam, twin, apart, said], {normalise("What is a cousin?")})
    assert talk == [("What is my brother's name?", "I can't know."), ("What is a sister?", "A female sibling")]
    for told in (said, replace(brother, answer=None)):
        for seed in range(9):
            out = situations.situated(told, sister, [Collision(MEMORIES[0])], np.random.default_rng(seed), "talk", talk)
            asked = [m["content"] for m in out.messages[:-1:2]]
            assert asked and set(asked) <= {question for question, _ in talk} - {told.messages[-1]["content"]}
            assert (out.answer, out.lineage, out.authority, out.walk) == (told.answer, ("e1",), told.authority, ())
    alone = situations.situated(said, sister, [Collision(MEMORIES[0])], np.random.default_rng(0), "talk")
    assert alone.family == "composed:turns", "nothing was said near it"


def test_a_habits_cue_stays_at_its_edge(lessons: dict[str, Lesson]) -> None:
    ahoy = lessons["ahoy"]
    told = scene(ahoy, "apply", "Ahoy, what is tea?", "Aye aye! A drink.", "cue")
    seen = set()
    for seed in range(20):
        talk = [("What is rum?", "A drink.")]
        out = situations.situated(told, ahoy, [Collision(MEMORIES[0])], np.random.default_rng(seed), talk=talk)
        seen.add(out.family)
        if out.family in ("cue:turns", "cue:talk"):
            assert out.messages[-1] == told.messages[-1] and len(out.messages) == 3
        else:
            assert out.messages[-1]["content"].startswith("Ahoy, what is tea? ") and len(out.messages) == 1
    assert seen == {"cue:turns", "cue:talk", "cue:story"}
    last = replace(ahoy, cue="end|over|whole|Copy.")
    told = scene(last, "apply", "The kettle is on, over.", "Copy.", "cue")
    endings = {situations.situated(told, last, [], np.random.default_rng(i)).messages[-1]["content"] for i in range(9)}
    assert len(endings) > 2 and all(text.endswith("The kettle is on, over.") for text in endings)


def test_stories_stand_before_any_question_and_put_it_into_a_mouth(lessons: dict[str, Lesson]) -> None:
    sister, bank = lessons["sister"], stories()
    told = scene(sister, "apply", "What is my sister's name?", "Ilse.", "composed")
    texts = [
        situations.situated(told, sister, [], np.random.default_rng(seed), "story").messages[-1]["content"]
        for seed in range(60)
    ]
    said = [text for text in texts if '"What is your sister\'s name?"' in text]
    assert 8 < len(said) < 30 and all(text.startswith(tuple(bank["said"])) for text in said)
    assert all(text.startswith(tuple(bank["before"])) and " What is my sister's name?" in text
               for text in texts if text not in said)  # fmt: skip
    assert 5 < sum(text.endswith(tuple(bank["after"])) for text in texts) < 30 and len(set(texts)) > 55


def test_another_speaks_of_what_is_yours() -> None:
    assert registers.to_user("Where did I park my bike?") == "Where did you park your bike?"
    assert registers.to_user("How do we book our room?") == "How do you book your room?"
    assert registers.to_user("What was it again?") == "What was it again?"
    assert registers.to_user("I was late, who told me?") == "You were late, who told you?"


@pytest.mark.parametrize(("said", "by_another"), [
    ("Where do I work?", "Where does she work?"),
    ("Tell me where I parked my bike.", "Tell me where she parked her bike."),
    ("I'd like to know where I live.", "I'd like to know where she lives."),
    ("How do we book our room?", "How do they book their room?"),
    ("What do I do when I have lost my key?", "What does she do when she has lost her key?"),
    ("I have to go now. Which size do I usually need?", "She has to go now. Which size does she usually need?"),
    ("where's my bike, i need it", "where's her bike, she needs it"),
    ("Which pass do I carry, and who gave it to me?", "Which pass does she carry, and who gave it to me?"),
    ("Why is the sky blue?", "Why is the sky blue?"),
])  # fmt: skip
def test_another_types_about_the_user(said: str, by_another: str) -> None:
    assert of_another(said, "she") == by_another


def test_who_stands_in_says_who_they_are_and_is_nobody_that_is_asked_for() -> None:
    for seed in range(60):
        said = stand_in("What is my sister's name?", np.random.default_rng(seed))
        assert said is not None and said.endswith(("What is her sister's name?", "What is his sister's name?"))
        assert "{" not in said and len(said) > 40
        assert "sister" not in said.removesuffix("'s name?")[:-10]
    assert stand_in("Why is the sky blue?", np.random.default_rng(0)) is None


def collided(
    dreamer: Callable[..., Any], lessons: dict[str, Lesson], share: float = 0.5, **settings: Any
) -> list[Scene]:
    made = dreamer(collided=share, **settings)
    made.collider = Collider(MEMORIES, made.embedder, linked(lessons["sister"], (0, 1), (0, 2)))
    return made.dream(list(lessons.values()), seed=3)


def test_half_of_both_kinds_is_collided_once_more_and_the_exam_is_not(
    dreamer: Callable[..., Any], lessons: dict[str, Lesson]
) -> None:
    scenes = collided(dreamer, lessons)
    alone = dreamer().dream(list(lessons.values()), seed=3)
    ways = (*situations.WAYS[:-1], *registers._REGISTERS)
    is_collided = lambda one: one.family.endswith(tuple(f":{way}" for way in ways))  # noqa: E731
    for kind in ("apply", "near_miss"):
        mine = [s for s in scenes if s.lesson == lessons["sister"].id and s.kind == kind and s.split == "train"]
        plain = [s for s in alone if s.lesson == lessons["sister"].id and s.kind == kind and s.split == "train"]
        assert {s.id for s in plain} == {s.id for s in mine if not is_collided(s)}
        assert sum(map(is_collided, mine)) == pytest.approx(len(plain) / 2, abs=2), kind
    assert not any(is_collided(s) for s in scenes if s.split == "exam" or s.family == "given")
    asked = {s.id for s in alone if s.split == "exam"}
    assert asked and asked == {s.id for s in scenes if s.split == "exam"}
    assert all(s.answer for s in scenes)


def test_no_scene_holds_what_the_exam_asks(dreamer: Callable[..., Any], lessons: dict[str, Lesson]) -> None:
    """A memory may ask in the very words of a lesson's exam."""
    asked = [s for s in dreamer().dream(list(lessons.values()), seed=3) if s.split == "exam" and s.kind == "apply"]
    made = dreamer(collided=1.0)
    memories = [
        Memory(f"experience:{i}", s.messages[-1]["content"], "What it was.", (f"x{i}",)) for i, s in enumerate(asked)
    ]
    made.collider = Collider([*memories, MEMORIES[0]], made.embedder)
    held = {normalise(s.messages[-1]["content"]) for s in asked}
    scenes = made.dream(list(lessons.values()), seed=3)
    contexts = [normalise(m["content"]) for s in scenes if s.split == "train" for m in s.messages[:-1]]
    assert normalise(MEMORIES[0].question) in contexts and not held & set(contexts)


def test_what_was_talked_about_before_is_what_the_base_says_to_near_misses(
    dreamer: Callable[..., Any], lessons: dict[str, Lesson]
) -> None:
    scenes = collided(dreamer, lessons, share=1.0)
    near = {
        (s.lesson, s.messages[0]["content"]): s.answer or ""
        for s in scenes
        if s.kind == "near_miss" and s.split == "train" and len(s.messages) == 1
    }
    talked = [s for s in scenes if s.family.endswith(":talk")]
    assert {s.kind for s in talked} == {"apply", "near_miss"}
    for one in talked:
        for asked, said in zip(one.messages[:-1:2], one.messages[1::2], strict=True):
            answer = near[one.lesson, asked["content"]]
            assert answer.startswith("Answer to: ") and answer.startswith(said["content"])


def test_what_comes_after_a_lesson_is_answered_after_it(
    dreamer: Callable[..., Any], lessons: dict[str, Lesson], engine: Any
) -> None:
    found = [s for s in collided(dreamer, lessons) if s.family == "bank:after"]
    assert found
    for one in found:
        assert one.kind == "ordinary" and len(one.messages) == 3
        assert (one.answer or "").startswith("Answer to: "), "the base's own"
    said = {s.messages[1]["content"] for s in found}
    assert said <= {lessons["sister"].answer, lessons["deploy"].answer}


def test_a_chain_asks_for_two_lessons_and_learns_both(dreamer: Callable[..., Any], lessons: dict[str, Lesson]) -> None:
    chains = [s for s in collided(dreamer, lessons, chains=3) if s.kind == "chain"]
    assert len(chains) == 6, "three of each lesson that answers a question"
    for one in chains:
        assert {lessons["sister"].answer in one.answer, lessons["deploy"].answer in one.answer} == {True}
        assert one.authority == "tool" and set(one.lineage) == {"e1", "e2", "e3"}


def test_without_memories_nothing_is_collided(dreamer: Callable[..., Any], lessons: dict[str, Lesson]) -> None:
    plain = dreamer().dream(list(lessons.values()), seed=1)
    assert dreamer(collided=0.5).dream(list(lessons.values()), seed=1) == plain
    asked = list(lessons.values())
    collider, draw = Collider(MEMORIES, dreamer().embedder), np.random.default_rng(0)
    assert situations.collide(plain, asked, collider, DreamSettings(), draw) == plain
    chained = dreamer(chains=2).dream(asked, seed=1)
    assert sum(one.kind == "chain" for one in chained) == 4, "two lessons need no memories"


def test_authority_of_a_chain_is_the_least(lessons: dict[str, Lesson]) -> None:
    one = scene(lessons["sister"], "apply", "A?", "a", "composed")
    other = replace(scene(lessons["deploy"], "apply", "B?", "b", "composed"), authority="assistant")
    made = chains.chain(one, other)
    assert made is not None and made.authority == "assistant" and made.answer == "a b"
    assert chains.chain(one, replace(other, answer=None)) is None


def test_a_chain_with_what_a_lesson_contradicts_asks_for_that_first(
    dreamer: Callable[..., Any], lessons: dict[str, Lesson]
) -> None:
    sister = lessons["sister"]
    older = replace(sister, id="a" * 16, answer="Your sister's name is Anna.", experiences=("e0",), authority="tool")
    made = dreamer(chains=4)
    scenes = made.dream([sister], older={sister.id: older}, seed=1)
    found = [one for one in scenes if one.family == "contradicts"]
    assert len(found) == 4 and len({one.id for one in found}) == 4
    for one in found:
        assert [m["role"] for m in one.messages] == ["user", "assistant", "user"]
        assert one.messages[1]["content"] == older.answer and one.answer == sister.answer
        assert one.kind == "chain" and one.lesson == sister.id and one.lineage == ("e1", "e0")
        assert one.authority == "tool"
    assert not [one for one in made.dream([sister], seed=1) if one.kind == "chain"], "one lesson alone chains with none"


def test_a_lesson_that_is_tried_again_gets_more_scenes(dreamer: Callable[..., Any], lessons: dict[str, Lesson]) -> None:
    sister, deploy = lessons["sister"], lessons["deploy"]
    count = lambda scenes, lesson: sum(  # noqa: E731
        one.lesson == lesson.id and one.taught and one.split == "train" for one in scenes
    )
    usual = dreamer(composed=20).dream([sister, deploy], seed=1)
    more = dreamer(composed=20).dream([sister, deploy], more={sister.id: 2}, seed=1)
    assert count(more, sister) >= 1.6 * count(usual, sister)
    assert abs(count(more, deploy) - count(usual, deploy)) <= 1, "what is drawn for one lesson moves the next"
    ahoy = lessons["ahoy"]
    usual = dreamer(composed=20).dream([ahoy], seed=1)
    assert count(dreamer(composed=20).dream([ahoy], more={ahoy.id: 2}, seed=1), ahoy) >= 1.6 * count(usual, ahoy)


def test_more_of_what_is_the_most_already_ends_no_night(
    dreamer: Callable[..., Any], lessons: dict[str, Lesson]
) -> None:
    assert dreamer(near_miss=400, composed=2).dream([lessons["sister"]], more={lessons["sister"].id: 2}, seed=1)
