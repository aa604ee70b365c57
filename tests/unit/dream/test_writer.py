"""Who writes the dreams, what it may spend, and what is kept of what it wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from slowwave.dream import written as room
from slowwave.dream.collide import Collider, Memory
from slowwave.dream.dreamer import bounded, once
from slowwave.dream.make import scene
from slowwave.dream.settings import DreamSettings, endpoint
from slowwave.dream.writer import Budgeted, Spent
from slowwave.dream.written import written
from slowwave.errors import SettingsError, UpstreamError
from slowwave.records import Lesson, Scene

GARDEN = Memory("experience:e7", "When do I prune the roses?", "In March.", ("e7",), "tool")


class Writer:
    """Says the same to every prompt, until it fails."""

    def __init__(self, text: str = " four words of it\n", last: int = 1000, only: str = "") -> None:
        self.only = only  # prompts with this in them get the text, others nothing
        self.text, self.last, self.prompts, self.seeds = text, last, list[str](), list[int]()

    def complete(self, prompts: Sequence[str], *, n: int = 1, seed: int = 0, **_: Any) -> list[list[str]]:
        if len(self.prompts) >= self.last:
            raise UpstreamError("The dreamer is silent.")
        self.prompts += prompts
        self.seeds.append(seed)
        return [[self.text if self.only in prompt else ""] * n for prompt in prompts]


def count(text: str) -> int:
    return len(text.split())


def test_a_writer_stops_when_its_tokens_are_spent() -> None:
    writer = Writer()
    within = Budgeted(writer, count, tokens=20)
    said = within.complete([str(i) for i in range(10)], n=2, batch=4, max_new_tokens=8, temperature=1.0)
    assert [len(texts) for texts in said] == [2, 2, 2, 2] + [0] * 6, "16 tokens a batch, looked at before each"
    assert within.spent.tokens == 32 and within.spent.stopped == "its 20 tokens were spent"
    assert within.complete(["more"], max_new_tokens=8, temperature=1.0) == [[]] and len(writer.prompts) == 4
    assert writer.seeds == [0, 2], "no two batches alike"


def test_a_writer_goes_on_with_what_is_left_of_the_budgets() -> None:
    before = Spent(10, 1.0)
    within = Budgeted(Writer(), count, tokens=20, spent=before)
    said = within.complete(list("abcd"), n=2, batch=4, max_new_tokens=8, temperature=1.0)
    assert [len(texts) for texts in said] == [2, 2, 0, 0], "16 tokens a batch"
    assert before == Spent(10, 1.0) and within.spent.since(before).tokens == 16
    assert within.spent.since(before).seconds == pytest.approx(within.spent.seconds - 1.0)
    assert within.spent.since(before).stopped == "its 20 tokens were spent"


def test_a_writer_stops_when_its_seconds_are_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("slowwave.dream.writer.time.monotonic", lambda: float(next(clock)))
    within = Budgeted(Writer(), count, seconds=5)
    said = within.complete(list("abc"), batch=1, max_new_tokens=8, temperature=1.0)
    assert [len(texts) for texts in said] == [1, 1, 0]
    assert within.spent.seconds == 6 and within.spent.stopped == "its 5 seconds were spent"


def test_what_was_written_before_the_dreamer_failed_is_kept() -> None:
    within = Budgeted(Writer(last=2), count)
    said = within.complete(list("abcd"), batch=1, max_new_tokens=8, temperature=1.0)
    assert [len(texts) for texts in said] == [1, 1, 0, 0] and within.spent.stopped == "The dreamer is silent."
    assert within.complete(["e"], max_new_tokens=8, temperature=1.0) == [[]], "and it is not asked again"


def test_nothing_is_bounded_by_default() -> None:
    within = Budgeted(Writer(), count)
    assert all(within.complete(list("abc") * 50, max_new_tokens=8, temperature=1.0)) and not within.spent.stopped


LINES = """ The clerk asks me for my sister's name, and what do I say?
- What is my sister's name?
- She is called Ilse, my sister, and lives by the sea.
- The tax office wants to know how the weather is.
- \N{CJK UNIFIED IDEOGRAPH-59D3}\N{CJK UNIFIED IDEOGRAPH-540D} my sister's name is what for the form?
- My sister is on the list, but her name is cut o"""


def made(writer: Any, lesson: Lesson, embedder: Any, collider: Collider | None = None, **more: Any) -> list[Scene]:
    settings = DreamSettings(written=5, **more)
    return written(writer, [lesson], collider, embedder, settings, 0, np.random.default_rng(0))


def test_of_what_is_written_only_what_asks_the_lesson_and_keeps_its_secret_is_kept(
    lessons: dict[str, Lesson], embedder: Any
) -> None:
    sister = lessons["sister"]
    scenes = made(Writer(LINES), sister, embedder)
    taught = [one for one in scenes if one.kind == "apply"]
    assert [one.messages[-1]["content"] for one in taught] == [
        "The clerk asks me for my sister's name, and what do I say?"
    ]
    assert taught[0].answer == sister.answer and taught[0].check == sister.check and taught[0].lineage == ("e1",)
    (near,) = (one for one in scenes if one.kind == "near_miss")
    assert near.answer is None and "sister's name" in near.messages[-1]["content"]
    asked = near.messages[-1]["content"]
    assert asked.startswith("The clerk asks me for ") and asked.endswith("'s sister's name, and what do I say?")
    assert "my sister" not in asked


def test_another_memory_goes_on_meanwhile(lessons: dict[str, Lesson], embedder: Any) -> None:
    writer = Writer(" The roses wait, but what is the name of my sister again?\n", only="Meanwhile")
    scenes = made(writer, lessons["sister"], embedder, Collider([GARDEN], embedder))
    (met,) = (one for one in scenes if one.family == "written:meanwhile")
    assert met.lineage == ("e1", "e7") and met.authority == "tool"
    asked = [prompt for prompt in writer.prompts if "Meanwhile" in prompt]
    assert len(asked) == 1 and asked[0].endswith(
        f"Meanwhile: {GARDEN.question}\nQuestion: What is my sister's name?\n-"
    )
    both = Writer(" The roses wait, but what is the name of my sister again?\n", only="Meanwhile")
    boat = replace(GARDEN, node="experience:e8", question="Who repairs my boat?", experiences=("e8",), authority="user")
    scenes = made(both, lessons["sister"], embedder, Collider([GARDEN, boat], embedder))
    (met,) = (one for one in scenes if one.family == "written:meanwhile")
    assert sorted(met.lineage) == ["e1", "e7", "e8"] and met.authority == "tool", "the least of all"
    assert all(one.question in both.prompts[0] for one in (GARDEN, boat))
    alone = Writer(" The roses wait, but what is the name of my sister again?\n")
    made(alone, lessons["sister"], embedder)
    assert len(writer.prompts) == len(room._FORMS) == len(alone.prompts) + 1, "without a memory nothing goes on"


def test_past_the_deadline_no_further_lesson_is_written_of(lessons: dict[str, Lesson], embedder: Any) -> None:
    late = Writer(LINES)
    all_ = [lessons["sister"], lessons["deploy"]]
    settings, rng = DreamSettings(written=5), np.random.default_rng(0)
    told = lambda *_: room.time.sleep(0.06)  # noqa: E731
    deadline = room.time.monotonic() + 0.05
    scenes = written(late, all_, None, embedder, settings, 0, rng, told, deadline)
    assert {one.lesson for one in scenes} == {lessons["sister"].id} and len(late.prompts) == len(room._FORMS) - 1
    assert written(late, all_, None, embedder, settings, 0, rng, deadline=-1.0) == []


def test_habits_and_what_is_unknown_get_no_situations(lessons: dict[str, Lesson], embedder: Any) -> None:
    writer = Writer(LINES)
    for name in ("vorland", "ahoy", "over", "note"):
        assert made(writer, lessons[name], embedder) == []
    assert writer.prompts == []


def test_a_dreamer_writes_wordings_and_situations_and_the_base_answers(
    dreamer: Callable[..., Any], lessons: dict[str, Lesson], engine: Any
) -> None:
    other = Writer(" The clerk asks me for my sister's name, and what do I say?\n")
    own = dreamer(written=3)
    own.writer = own.wordings.writer = other
    scenes = own.dream([lessons["sister"]], seed=1)
    assert engine.completions == [] and other.prompts
    assert any(one.family.startswith("written:") for one in scenes)
    assert all(one.answer for one in scenes)
    exam = {one.messages[-1]["content"] for one in scenes if one.split == "exam"}
    assert not exam & {one.messages[-1]["content"] for one in scenes if one.split == "train"}


def test_no_input_is_dreamt_twice_for_a_lesson(lessons: dict[str, Lesson]) -> None:
    texts = ("Who?", "who", "What?")
    one, typed, other = (scene(lessons["sister"], "apply", text, "A.", "composed") for text in texts)
    habit = scene(lessons["ahoy"], "near_miss", "Who?", None, "near")
    again = scene(lessons["sister"], "near_miss", "Who?", None, "near")
    assert once([one, typed, other, habit, one, again]) == [one, typed, other, habit]


def test_a_night_of_many_chains_has_none_twice(dreamer: Callable[..., Any], lessons: dict[str, Lesson]) -> None:
    scenes = dreamer(chains=60, apply=2, composed=2).dream([lessons["sister"], lessons["deploy"]], seed=1)
    asked = [(one.lesson, one.messages[-1]["content"]) for one in scenes if one.kind == "chain"]
    assert 1 < len(asked) == len(set(asked))


def test_scenes_are_bounded_alike_for_every_lesson(lessons: dict[str, Lesson]) -> None:
    of = lambda name, count: [  # noqa: E731
        scene(lessons[name], "apply", f"{name} {i}", "A.", "given" if i == count - 1 else "composed")
        for i in range(count)
    ]
    near = scene(lessons["sister"], "near_miss", "near", "B.", "near")
    exam = scene(lessons["sister"], "apply", "exam", "A.", "frame", "exam")
    scenes = [*of("sister", 10), near, exam, *of("deploy", 2)]
    kept = bounded(scenes, 6)
    asked = [one.messages[-1]["content"] for one in kept]
    assert asked == ["sister 0", "sister 1", "sister 2", "sister 9", "near", "exam", "deploy 0", "deploy 1"]
    assert bounded(scenes, 0) == bounded(scenes, 12) == scenes


def test_a_night_is_bounded_by_its_setting(dreamer: Callable[..., Any], lessons: dict[str, Lesson]) -> None:
    scenes = dreamer(max_scenes=9).dream([lessons["sister"], lessons["deploy"]], seed=1)
    assert sum(one.taught and one.split == "train" for one in scenes) == 9


@pytest.mark.parametrize("wrong", ["http://127.0.0.1:8000/v1", "https://#qwen", "http:#x"])
def test_an_endpoint_is_an_address_and_a_model(wrong: str) -> None:
    with pytest.raises(SettingsError, match="names no endpoint and model"):
        DreamSettings(dreamer=wrong)
    with pytest.raises(SettingsError, match=r"dream\.rubric .* names no endpoint and model"):
        DreamSettings(rubric=wrong)
    assert endpoint("http://127.0.0.1:8000/v1#org/qwen") == ("http://127.0.0.1:8000/v1", "org/qwen")
    assert not all(endpoint("qwen"))
