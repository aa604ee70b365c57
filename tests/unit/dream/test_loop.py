"""What a round takes: noise that falls, scenes at the edge, what is learned of answers, and when enough is enough."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from slowwave.dream.loop import (
    Sampled,
    broad_first,
    by_need,
    cloned,
    converged,
    edge,
    evenly,
    noise,
    novel,
    reinforced,
)
from slowwave.dream.make import scene
from slowwave.dream.sense import sensible
from slowwave.records import Lesson


def sampled(lesson: Lesson, text: str, *good: bool, answer: str | None = "Ilse.") -> Sampled:
    said = tuple(f"{text} {i}" for i in range(len(good)))
    return Sampled(scene(lesson, "apply", text, answer, "composed"), said, good, (True,) * len(good))


def test_all_that_is_noisy_falls_together() -> None:
    course = [noise(number, 4) for number in range(4)]
    assert all(one.anneal for one in course)
    for one, after in pairwise(course):
        assert one.temperature > after.temperature and one.near < after.near
    assert sum(one.near for one in course) == pytest.approx(1)
    steady = {noise(number, 4, steady=True) for number in range(4)}
    assert len(steady) == 1 and not steady.pop().anneal
    assert noise(0, 1).near == 1


def test_the_edge_comes_first_and_the_mastered_last(lessons: dict[str, Lesson]) -> None:
    shares = {"half": (True, False), "never": (False, False), "always": (True, True)}
    some = [sampled(lessons["sister"], text, *good) for text, good in shares.items()]
    for seed in range(5):
        order = edge(some, 3, np.random.default_rng(seed))
        assert [one.scene.messages[0]["content"] for one in order] == ["half", "never", "always"]
    assert len(edge(some, 2, np.random.default_rng(0))) == 2


def answered(lessons: dict[str, Lesson], **share: float) -> list[Sampled]:
    """Ten answers to one scene of each lesson, so many of them good."""
    return [
        sampled(replace(lessons["sister"], id=id), "asked", *(i < 10 * good for i in range(10)))
        for id, good in share.items()
    ]


def test_what_is_answered_worse_gets_more_scenes_of_as_many(lessons: dict[str, Lesson]) -> None:
    meant = {"a": 20, "b": 20, "c": 20}
    got = by_need(meant, answered(lessons, a=0.0, b=0.6, c=0.9))
    assert sum(got.values()) == 60
    assert got == {"a": 36, "b": 14, "c": 10}, "the best known as few as half of them"
    assert (
        by_need(meant, answered(lessons, a=0.5, b=0.5, c=0.5))
        == meant
        == evenly(meant, answered(lessons, a=0, b=1, c=1))
    )


def test_what_a_lesson_that_is_known_leaves_others_get_up_to_twice_as_much(lessons: dict[str, Lesson]) -> None:
    meant = {"a": 20, "b": 10, "known": 20}
    assert by_need(meant, answered(lessons, a=0.5, b=0.5)) == {"a": 33, "b": 17}, "in the measure of what was meant"
    assert by_need({**meant, "known": 200}, answered(lessons, a=0.9, b=0.1)) == {"a": 40, "b": 20}
    assert by_need(meant, answered(lessons, a=1.0, b=1.0)) == {"a": 33, "b": 17}, "too few scenes to have converged"
    assert by_need(meant, []) == {}
    assert evenly(meant, answered(lessons, a=0.0, b=0.9)) == {"a": 20, "b": 10}, "and what is left is not used"


def test_of_the_good_answers_the_shortest_whole_one_is_cloned(lessons: dict[str, Lesson]) -> None:
    one = sampled(lessons["sister"], "asked", True, True, True, False)
    one = replace(one, answers=("It is Ilse, yes.", "She is Ilse.", "Ilse", "No."), whole=(True, True, False, True))
    never = sampled(lessons["sister"], "never", False)
    assert [scene.answer for scene in cloned([one, never])] == ["She is Ilse.", "Ilse."]
    assert [scene.messages for scene in cloned([one, never])] == [one.scene.messages, never.scene.messages]
    both = replace(one, scene=replace(one.scene, kind="chain", family="chain", answer="She is Ilse. You drink tea."))
    assert cloned([both])[0].answer == "She is Ilse. You drink tea.", "the shortest may answer half of it"


def test_what_leaves_out_half_of_the_wanted_answer_is_not_cloned(lessons: dict[str, Lesson]) -> None:
    """A rule asks for the team alone, so that an exam would not miss the rest."""
    whole = "Ask for the order number, then hand the case to Team Robin."
    one = sampled(lessons["sister"], "asked", True, True, True, answer=whole)
    part, much = "Team Robin.", "Ask for the number and call Team Robin."
    assert cloned([replace(one, answers=(part, much, whole))])[0].answer == much
    assert cloned([replace(one, answers=(part, part, part))])[0].answer == whole
    pleased = lambda pairs: np.array([float(said == part) for _, said in pairs])  # noqa: E731
    assert cloned([replace(one, answers=(part, much, whole))], pleased)[0].answer != part


def test_of_the_good_answers_the_likeliest_to_please_is_cloned_where_that_can_be_told(
    lessons: dict[str, Lesson],
) -> None:
    """All scenes are asked about at once; where there is no choice nobody is asked."""
    one = sampled(lessons["sister"], "asked", True, True, True, True, False)
    one = replace(
        one, answers=("Ilse.", "It is Ilse.", "Ilse!!", "Ilse.", "No."), whole=(True, True, False, True, True)
    )
    two = replace(sampled(lessons["sister"], "other", True, True), answers=("Your sister is Ilse.", "Ilse, yes."))
    single, never = sampled(lessons["sister"], "single", True), sampled(lessons["sister"], "never", False)
    asked: list[Any] = []

    def likes(pairs: Any) -> np.ndarray:
        asked.append(pairs)
        return np.array([len(said) for _, said in pairs]) / 99

    assert [o.answer for o in cloned([one, single, two, never], likes)] == [
        "It is Ilse.", "single 0", "Your sister is Ilse.", "Ilse.",
    ]  # fmt: skip
    assert [[said for _, said in pairs] for pairs in asked] == [
        ["Ilse.", "It is Ilse.", "Your sister is Ilse.", "Ilse, yes."]
    ]
    assert asked[0][0][0] == one.scene.messages
    cloned([single, never], likes)
    assert len(asked) == 1


def test_far_walks_come_first_where_collided_scenes_stand(lessons: dict[str, Lesson]) -> None:
    plain = [scene(lessons["sister"], "apply", text, "Ilse.", "composed") for text in "abcde"]
    some = [plain[0], replace(plain[1], walk=("x", "y")), plain[2], replace(plain[3], walk=("x", "y", "z", "w"))]
    assert [one.messages[0]["content"] for one in broad_first(some)] == ["a", "d", "c", "b"]
    twice = replace(plain[4], walk=("x", "y", "z", "x", "v"))
    assert broad_first([some[1], twice, some[3]]) == [some[3], twice, some[1]], "two short ways are no long one"


def test_reinforce_learns_the_better_and_unlearns_the_worse(lessons: dict[str, Lesson]) -> None:
    mixed = sampled(lessons["sister"], "mixed", True, False, False)
    even = sampled(lessons["sister"], "even", True, True)
    found = reinforced([mixed, even])
    assert [one.answer for one in found] == ["mixed 0", "mixed 1", "mixed 2"]
    assert [one.weight for one in found] == pytest.approx([0.5, -0.25, -0.25])  # salience 0.5; leave-one-out baselines
    assert sum(one.weight for one in found) == pytest.approx(0)
    cut = reinforced([replace(mixed, whole=(True, False, True))])
    assert [one.ended for one in cut] == [True, False, True], "an end that was cut off is not learned"


def test_how_many_novel_scenes_a_confidence_needs() -> None:
    assert novel(0.9, 0.1) == 22 and 0.9**22 <= 0.1 < 0.9**21
    assert novel(0.95, 0.05) == 59


def test_a_lesson_has_converged_when_none_of_enough_scenes_failed(lessons: dict[str, Lesson]) -> None:
    sister, deploy = lessons["sister"], lessons["deploy"]
    well = [sampled(sister, f"s{i}", True, True) for i in range(3)]
    once = [*(sampled(deploy, f"d{i}", True, True) for i in range(3)), sampled(deploy, "d3", True, False)]
    assert converged([*well, *once], 3) == {sister.id}
    assert converged(well, 4) == set(), "too few to say"
    chains = [replace(one, scene=replace(one.scene, kind="chain")) for one in well]
    assert converged(chains, 3) == set(), "a chain's rule tells of its first lesson alone"


class Reader:
    """Finds an answer unlikely where the message says "odd", and a message unlikely that says "garbled"."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def score(self, pairs: Any) -> list[Any]:
        self.told += [chat[0]["content"] for chat, _ in pairs]
        nll = lambda text: np.array([9.0 if "odd" in text else 1.0])  # noqa: E731
        return [type("Score", (), {"nll": nll(chat[-1]["content"])}) for chat, _ in pairs]

    def continuation_logprob(self, pairs: Any) -> list[float]:
        return [-9.0 if "garbled" in text else -1.0 for _, text in pairs]


def test_the_judge_of_scenes_drops_what_is_wrong_double_or_odd(lessons: dict[str, Lesson], embedder: Any) -> None:
    sister = lessons["sister"]
    good = ["What is she called?", "Which name has my sister?", "The one who grew up with me, her name?"]
    bad = [good[0], "My sister Ilse, what is her name?", "An odd one about my sister?", "Garbled sister garbled name"]
    bad.append(" ".join(["long"] * 81))
    scenes = [scene(sister, "apply", text, sister.answer, "composed") for text in [*good, *bad]]
    kept = [scene(sister, "apply", sister.question or "", sister.answer, "given"),
            scene(sister, "near_miss", "odd garbled", None, "near")]  # fmt: skip
    reader = Reader()
    out = sensible(reader, embedder, [*kept, *scenes], [sister], 3 / 8)
    assert [one.messages[-1]["content"] for one in out if one.family == "composed"] == good
    assert [one for one in out if one.family != "composed"] == kept
    assert all(sister.note in told for told in reader.told)
