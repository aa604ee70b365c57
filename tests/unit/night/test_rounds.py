"""The rounds of a night: what each is given, what the model's answers decide, and when a lesson has enough."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from slowwave.dream.loop import evenly, reinforced
from slowwave.dream.make import scene, user
from slowwave.dream.rubric import Rubric
from slowwave.dream.settings import DreamSettings
from slowwave.learn.decision import Decision
from slowwave.learn.settings import LearnSettings
from slowwave.night import rounds as room
from slowwave.night.decisions import Curriculum
from slowwave.night.rounds import Rounds
from slowwave.records import Check, Lesson, Scene

ILSE, TEA = (
    Lesson(id * 16, "default", answer, f"{answer}?", answer, Check((answer.lower(),)), experiences=("e",))
    for id, answer in (("1", "Ilse"), ("2", "Tea"))
)
SCENES = [scene(lesson, "apply", f"{lesson.note} scene {i}", lesson.answer, "composed")
          for lesson in (ILSE, TEA) for i in range(12)]  # fmt: skip
NEAR = [Decision((number,), (1,), lesson=False) for number in range(12)]
EVERYDAY = [Decision((number,), (2,), lesson=False) for number in range(6)]
LEARN = LearnSettings(lesson_batch=4, epochs=1, min_steps=1)


class Plain(NamedTuple):
    """A decision as it is read here: a scene's text and answer, without a tokenizer."""

    text: str
    answer: str
    weight: float


class Engine:
    """Answers a lesson's scenes rightly with a chance of its own."""

    rows = 8

    def __init__(self, **chance: float) -> None:
        self.chance, self.draw, self.asked = chance, np.random.default_rng(0), list[str]()
        self.temperatures: list[float] = []

    def generate(self, chats: Any, *, n: int, temperature: float, **_: Any) -> list[list[Any]]:
        self.asked += [chat[-1]["content"] for chat in chats]
        self.temperatures.append(temperature)
        right = lambda text: text.split()[0] if self.draw.random() < self.chance[text.split()[0]] else "No."  # noqa: E731
        return [[SimpleNamespace(text=right(chat[-1]["content"]), finish="stop") for _ in range(n)] for chat in chats]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    of = lambda engine, one, weight=1.0: Plain(one.messages[-1]["content"], one.answer, weight)  # noqa: E731
    monkeypatch.setattr(room, "decision", of)


def planned(engine: Engine, scenes: list[Scene] = SCENES, **more: Any) -> tuple[Rounds, list[Any]]:
    relearned: list[Any] = [Plain("again", "as it was", 1.0)]
    dream = DreamSettings(rounds=3, answers=4, confidence=0.8, reflex=0.4)
    taught = Curriculum([], [*NEAR, *EVERYDAY], [], relearned, NEAR)
    made = Rounds(engine, None, scenes, taught, dream, LEARN, 0, **{"most": 6, **more})  # type: ignore[arg-type]
    return made, list(made.plan())


def own(one: Any, lesson: Lesson) -> list[str]:
    return [text for text, *_ in one.lessons if text.startswith(lesson.note)]


def test_every_round_brings_new_scenes_of_each_lesson_and_its_share_of_near_misses() -> None:
    engine = Engine(Ilse=0.5, Tea=0.5)
    made, course = planned(engine)
    assert [len(own(one, lesson)) for one in course for lesson in (ILSE, TEA)] == [2] * 6
    said = [text for one in course for text, *_ in one.lessons if text != "again"]
    assert len(set(said)) == len(said) == 12
    assert all(("again", "as it was", 1.0) in one.lessons for one in course), "what is being forgotten"
    dealt = [anchor for one in course for anchor in one.anchors]
    assert len(dealt) == 18 and set(dealt) == {*NEAR, *EVERYDAY}
    assert [len({*NEAR} & {*one.anchors}) for one in course] == [2, 4, 6], "the nuances last"
    assert [len({*EVERYDAY} & {*one.anchors}) for one in course] == [2, 2, 2], "everyday answers all the time"
    assert all(one.anneal for one in course)
    assert engine.temperatures == sorted(engine.temperatures, reverse=True) and len(engine.temperatures) == 3
    assert not set(engine.asked) & {text for text, *_ in course[0].lessons}, "what was trained is not novel"
    assert len(made.shares) == 3 and made.converged == set()


def test_a_converged_lesson_gets_no_more_and_the_last_closes_the_night() -> None:
    """The closing round holds still what the others would have, or near misses are taken over."""
    made, course = planned(Engine(Ilse=1.0, Tea=0.5))
    assert made.converged == {ILSE.id}
    assert [len(own(one, ILSE)) for one in course] == [2, 0, 0]
    assert [len(own(one, TEA)) for one in course] == [2, 4, 4], "another that needs them gets its scenes"
    made, course = planned(Engine(Ilse=1.0, Tea=1.0))
    first, closing = course
    assert made.converged == {ILSE.id, TEA.id}
    dealt = [*first.anchors, *closing.anchors]
    assert len(dealt) == 18 and {*dealt} == {*NEAR, *EVERYDAY}
    assert closing.lessons == first.lessons and closing.steps >= first.steps and closing.later == 0, "to the rate's end"
    assert len(made.shares) == 1, "nothing more is asked"


def test_past_the_deadline_nothing_is_asked_and_the_training_hears_of_it() -> None:
    """One round more begins, which ends at its first step: so the report says that time ran out."""
    engine = Engine(Ilse=0.5, Tea=0.5)
    made, course = planned(engine, deadline=-1.0)
    assert len(course) == 2 and course[1].lessons == course[0].lessons and engine.temperatures == []
    assert made.converged == set() and made.shares == []


def test_what_the_answers_took_too_long_for_is_not_told_as_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = [0.0], []
    monkeypatch.setattr("slowwave.night.rounds.time.monotonic", lambda: clock[0])
    engine = Engine(Ilse=0.5, Tea=0.5)
    answer = engine.generate
    engine.generate = lambda *args, **options: clock.append(9.0) or (clock.pop(0) and None) or answer(*args, **options)  # type: ignore[method-assign]
    _, course = planned(engine, deadline=5.0, on_round=lambda number, learned: told.append(number))
    assert told == [1] and len(course) == 2 and course[1].lessons == course[0].lessons


def test_what_each_round_learned_is_told() -> None:
    told: list[tuple[int, int]] = []
    planned(Engine(Ilse=0.5, Tea=0.5), on_round=lambda number, learned: told.append((number, len(learned))))
    assert told == [(1, 4), (2, 4), (3, 4)]


def test_the_closing_round_holds_what_is_left_however_late_it_comes() -> None:
    """Once each at least, and nothing twice."""
    engine = Engine(Ilse=0.5, Tea=0.5)
    dream = DreamSettings(rounds=4, answers=2, confidence=0.8, reflex=0.4)
    learn = replace(LEARN, anchor_batch=2)
    made = Rounds(engine, None, SCENES, Curriculum([], [*NEAR, *EVERYDAY], [], [], NEAR), dream, learn, 0, most=4)  # type: ignore[arg-type]
    course = []
    for number, one in enumerate(made.plan()):
        course.append(one)
        if number == 1:
            engine.chance = {"Ilse": 1.0, "Tea": 1.0}
    assert len(course) == 3 and made.converged == {ILSE.id, TEA.id}
    dealt = [anchor for one in course for anchor in one.anchors]
    assert len(dealt) == 18 and {*dealt} == {*NEAR, *EVERYDAY}
    closing = course[-1]
    assert closing.steps >= len(closing.anchors) / 2 and closing.steps > course[1].steps
    assert closing.lessons == [*course[0].lessons, *course[1].lessons]


@pytest.mark.parametrize("off", ["anchor_batch", "kl_weight"])
def test_where_nothing_is_held_no_round_closes(off: str) -> None:
    dream = DreamSettings(rounds=3, answers=2, confidence=0.8, reflex=0.4)
    learn = replace(LEARN, **{off: 0})
    engine = Engine(Ilse=1.0, Tea=1.0)
    made = Rounds(engine, None, SCENES, Curriculum([], NEAR, [], [], NEAR), dream, learn, 0, most=6)  # type: ignore[arg-type]
    assert len(list(made.plan())) == 1 and made.converged == {ILSE.id, TEA.id}


def test_what_was_unlearned_is_not_trained_again_in_the_closing_round() -> None:
    engine = Engine(Ilse=0.5, Tea=0.5)
    dream = DreamSettings(rounds=4, answers=4, confidence=0.8, reflex=0.4)
    taught = Curriculum([], NEAR, [], [], NEAR)
    made = Rounds(engine, None, SCENES, taught, dream, LEARN, 0, most=8, learn=reinforced)  # type: ignore[arg-type]
    course = []
    for number, one in enumerate(made.plan()):
        course.append(one)
        if number == 1:
            engine.chance = {"Ilse": 1.0, "Tea": 1.0}
    assert len(course) == 3 and any(one.weight < 0 for one in course[1].lessons)
    assert course[2].lessons and all(one.weight > 0 for one in course[2].lessons)


def test_what_was_trained_on_says_nothing_about_convergence() -> None:
    """With no unseen scene left the old ones are asked again, to be chosen from; they prove nothing."""
    made, course = planned(Engine(Ilse=1.0, Tea=1.0), most=36)
    assert made.converged == set() and len(course) == 3


def test_few_scenes_cannot_say_that_a_lesson_has_converged() -> None:
    made, course = planned(Engine(Ilse=1.0, Tea=1.0), [*SCENES[:4], *SCENES[12:16]], most=3)
    assert made.converged == set() and len(course) == 3, "three novel scenes where four are needed"


def test_the_sampled_answers_are_learned_by_reinforcement() -> None:
    _, course = planned(Engine(Ilse=0.5, Tea=0.5), learn=reinforced)
    later = [one for one in course[1].lessons if one[0] != "again"]
    assert {answer for _, answer, _ in later} == {"Ilse", "Tea", "No."}
    assert all((weight < 0) == (answer == "No.") for _, answer, weight in later)


def test_where_nothing_can_be_reinforced_the_night_goes_on() -> None:
    """All answers of round two are as bad as each other; what they are by round three decides anew."""
    engine = Engine(Ilse=0.0, Tea=0.0)
    made, course = planned(engine, learn=reinforced)
    assert len(course) == 1 and len(made.shares) == 3, "asked after every round, though two of them learned nothing"


def test_what_was_learned_in_the_last_round_is_seen() -> None:
    engine = Engine(Ilse=0.5, Tea=0.5)
    dream = DreamSettings(rounds=2, answers=2, confidence=0.8, reflex=0.4)
    made = Rounds(engine, None, SCENES, Curriculum([], NEAR, []), dream, LEARN, 0, most=4)  # type: ignore[arg-type]
    for number, _ in enumerate(made.plan()):
        if number == 1:
            engine.chance["Ilse"] = 1.0
    assert made.converged == {ILSE.id}


def test_as_many_scenes_are_asked_as_convergence_needs() -> None:
    """Of two a round four are not enough; there are more to ask."""
    dream = DreamSettings(rounds=2, answers=2, confidence=0.9, reflex=0.25)  # nine
    made = Rounds(
        Engine(Ilse=1.0, Tea=1.0), None, SCENES, Curriculum([], NEAR, []), dream, LEARN, 0, most=4,  # type: ignore[arg-type]
    )  # fmt: skip
    assert len(list(made.plan())) == 2 and len(made.shares) == 1 and made.converged == {ILSE.id, TEA.id}


def test_an_answer_to_half_of_a_chain_is_not_good() -> None:
    class Embedder:
        def embed(self, texts: Any) -> Any:
            return np.stack([np.eye(3)[len(text.split())] for text in texts])

    both = replace(SCENES[0], kind="chain", family="chain", answer="Ilse Tea")
    made = Rounds(None, Embedder(), SCENES, Curriculum([], [], []), DreamSettings(), LEARN, 0)
    assert made._good([(SCENES[0], "Ilse"), (both, "Ilse"), (both, "Ilse Tea")]) == [True, False, True]


def test_what_rule_and_vectors_leave_open_a_rubric_decides() -> None:
    class Embedder:
        def embed(self, texts: Any) -> Any:
            return np.array(
                [{"far": (0.0, 1.0), "half": (0.6, 0.8), "other": (0.6, 0.8)}.get(t, (1.0, 0.0)) for t in texts]
            )

    asked: list[str] = []

    def ask(chats: Any) -> list[str]:
        asked.extend(chat[0]["content"] for chat in chats)
        return ["yes" if "half" in chat[0]["content"] else "hm" for chat in chats]

    free = replace(SCENES[0], check=Check())
    said = [(SCENES[0], "half"), (free, "half"), (free, "other"), (free, "far"), (free, "same")]
    verdicts = lambda rubric: Rounds(  # noqa: E731
        None, Embedder(), SCENES, Curriculum([], [], []), DreamSettings(), LEARN, 0, rubric=rubric
    )._good(said)
    assert verdicts(None) == [False, False, False, False, True]
    assert verdicts(Rubric(ask)) == [False, True, False, False, True] and len(asked) == 2


class Anew:
    """Dreams one scene more of each lesson, and remembers of which it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, list[str]]] = []

    def dream(self, own: Any, number: int) -> list[Scene]:
        self.asked.append((number, [one.answer for one in own]))
        return [
            replace(one, id=f"{one.answer} {number}", family="anew", messages=(user(f"{one.answer} anew {number}"),))
            for one in own
        ]


def test_between_rounds_what_has_not_converged_is_dreamt_once_more() -> None:
    """First of all: it is asked before what was dreamt at dusk, and trained on where it is chosen."""
    given = [replace(one, family="given") if i in (0, 12) else one for i, one in enumerate(SCENES)]
    engine, anew = Engine(Ilse=1.0, Tea=0.5), Anew()
    first = lambda some, count, rng: list(some)[:count]  # noqa: E731
    _, course = planned(engine, given, anew=anew, choose=first)
    assert anew.asked == [(1, ["Ilse", "Tea"]), (2, ["Tea"])], "once between two rounds, and not for what is known"
    said = [{text for text, *_ in one.lessons if "anew" in text} for one in course]
    assert said == [set(), {"Tea anew 1"}, {"Tea anew 2"}]


def test_a_lesson_with_few_scenes_is_learned_as_often() -> None:
    few: list[Scene] = [*SCENES[:12], SCENES[12]]
    engine = Engine(Ilse=0.5, Tea=0.5)
    dream = DreamSettings(rounds=2, answers=2)
    made = Rounds(engine, None, few, Curriculum([], NEAR, []), dream, LEARN, 0, most=8, deal=evenly)  # type: ignore[arg-type]
    assert [len(own(one, TEA)) for one in made.plan()] == [4, 4]


def test_the_worse_a_lesson_is_answered_the_more_scenes_it_gets() -> None:
    made, course = planned(Engine(Ilse=0.9, Tea=0.1), most=9)
    assert made.converged == set()
    assert [(len(own(one, ILSE)), len(own(one, TEA))) for one in course] == [(3, 3), (2, 4), (2, 4)]
    _, course = planned(Engine(Ilse=0.9, Tea=0.1), most=9, deal=evenly)
    assert [(len(own(one, ILSE)), len(own(one, TEA))) for one in course] == [(3, 3)] * 3


def test_a_lesson_that_was_tried_in_vain_gets_more_in_every_round() -> None:
    _, course = planned(Engine(Ilse=0.5, Tea=0.5), more={TEA.id: 1.5})
    assert [(len(own(one, ILSE)), len(own(one, TEA))) for one in course] == [(2, 3)] * 3


def test_alike_rounds_are_alike() -> None:
    _, course = planned(Engine(Ilse=0.5, Tea=0.5), steady=True)
    assert [one.anneal for one in course] == [False] * 3 and [len(one.anchors) for one in course] == [6, 6, 6]
    assert [len({*NEAR} & {*one.anchors}) for one in course] == [4, 4, 4]


@pytest.mark.parametrize("steady", [True, False])
def test_with_a_schedule_the_broad_walks_come_first(steady: bool) -> None:
    far, near = tuple("abcde"), tuple("ab")
    walked = [replace(one, walk=far if i % 2 else near) for i, one in enumerate(SCENES)]
    ways = {one.messages[-1]["content"]: len(one.walk) for one in walked}
    dream = DreamSettings(rounds=2, answers=2)
    made = Rounds(
        Engine(Ilse=0.5, Tea=0.5), None, walked, Curriculum([], NEAR, []), dream, LEARN, 0, most=10, steady=steady,  # type: ignore[arg-type]
        choose=lambda some, count, rng: list(some)[:count],
    )  # fmt: skip
    first, second = ([ways[text] for text, *_ in one.lessons] for one in made.plan())
    assert (set(first) == {5}) is not steady
    assert steady or np.mean(second) < 5
