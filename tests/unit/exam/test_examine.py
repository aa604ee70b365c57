"""The whole exam on an engine that looks its answers up."""

import json
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from slowwave.errors import ExamError
from slowwave.exam import retention as retention_module
from slowwave.exam.drift import Divergence
from slowwave.exam.examine import ExamResult, draw, draw_earlier, examine
from slowwave.exam.panel import Panel
from slowwave.exam.probes import ProbeResult
from slowwave.exam.retention import Reference
from slowwave.exam.settings import ExamSettings
from slowwave.models.engine import Reply, TokenScores
from slowwave.records import Check, Lesson, Scene, SceneKind

PANEL = Panel.load(4)
NAME = Lesson("L1", "default", "Her name is Mira.", "Her name?", "It is Mira.", Check(any_of=("Mira",)))
FREE = Lesson("L2", "default", "Say it kindly.", "How?", "Kindly, always.", Check())


class Fake:
    """The base says "Bob.", a version "Mira."; `bits` are its bits per byte."""

    base_hash, template_hash = "base", "template"

    def __init__(self, bits: float = 1.0) -> None:
        self.active: str | None = None
        self.bits = bits
        self.asked: list[str] = []

    @contextmanager
    def using(self, adapter: str | None):
        before, self.active = self.active, adapter
        yield
        self.active = before

    def generate(self, chats: Any, **_: Any) -> list[list[Reply]]:
        self.asked += [chat[-1]["content"] for chat in chats]
        return [[Reply("Mira." if self.active else "Bob.", 2, 2, "stop")] for _ in chats]

    def bits_per_byte(self, texts: Any) -> list[float]:
        return [self.bits if self.active else 1.0 for _ in texts]

    def continuation_logprob(self, pairs: Any) -> list[float]:
        return [-float(i % 4) for i in range(len(pairs))]

    def score(self, pairs: Any) -> list[TokenScores]:
        """The expected answer costs nothing after "Mira." or itself, and a lot after anything else."""
        cost = lambda chat, text: 0.0 if chat[1]["content"] in ("Mira.", text) else 9.0  # noqa: E731
        return [TokenScores(np.array([cost(chat, text)]), np.zeros(1)) for chat, text in pairs]


def question(lesson: Lesson, number: int, kind: SceneKind = "apply", split: str = "exam") -> Scene:
    text = f"{lesson.id} {kind} {number}"
    return Scene(text, lesson.id, kind, ({"role": "user", "content": text},), None, text, split)  # type: ignore[arg-type]


def sit(engine: Fake, adapter: str | None = "v", **changes: Any) -> ExamResult:
    arguments: dict[str, Any] = {
        "lessons": [NAME, FREE], "scenes": [question(NAME, 1), question(NAME, 2, "near_miss")], "earlier": [],
        "panel": PANEL, "reference": Reference.measure(engine, PANEL), "settings": ExamSettings(),  # type: ignore[arg-type]
    }  # fmt: skip
    return examine(engine, adapter=adapter, **{**arguments, **changes})  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "forward_kl", lambda *_: Divergence(0.01, (0.01,), 0.9))


def test_before_and_after() -> None:
    engine = Fake(bits=1.2)
    earlier = [question(FREE, 1)]
    before, after = sit(engine, None, earlier=earlier), sit(engine, "v", earlier=earlier)
    result = ProbeResult(before.answers, after.answers)
    assert result.gain().value == 1.0
    assert result.takeovers() == [True]
    assert result.kept() == [(True, False)]
    assert [len(r.earlier) for r in (before, after)] == [1, 1]
    assert (before.retention.drift, after.retention.drift) == (0.0, 0.01)
    assert (before.retention.bits_per_byte, after.retention.bits_per_byte) == (1.0, 1.2)
    assert engine.active is None


def test_it_reports_its_parts() -> None:
    told: list[tuple[int, int]] = []
    sit(Fake(), progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]


def test_it_goes_to_json_and_back() -> None:
    result = sit(Fake(), earlier=[question(FREE, 1)])
    assert ExamResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


@pytest.mark.parametrize(
    "broken",
    [
        {"scenes": []},
        {"scenes": [question(NAME, 1, "near_miss")]},
        {"scenes": [question(NAME, 1, split="train")]},
        {"earlier": [question(NAME, 1, split="train")]},
        {"scenes": [question(FREE, 1)]},  # no rule, and no judge
        {"panel": Panel.load(5)},  # not the reference's
    ],
)
def test_what_cannot_be_examined_is_refused(broken: dict) -> None:
    with pytest.raises(ExamError):
        sit(Fake(), **broken)


def test_a_nan_is_refused() -> None:
    with pytest.raises(ExamError, match="NaN"):
        sit(Fake(bits=float("nan")))


def test_the_model_judges_only_what_rules_leave_open() -> None:
    scenes = [question(NAME, 1), question(FREE, 1), question(FREE, 2, "near_miss")]
    for adapter, right in (("v", True), (None, False)):
        result = sit(Fake(), adapter, scenes=scenes, settings=ExamSettings(judge="model"))
        judged = {answer.scene_id: answer.right for answer in result.answers}
        assert judged == {"L1 apply 1": right, "L2 apply 1": right, "L2 near_miss 2": None}


def test_known_figures_are_not_measured_again() -> None:
    engine = Fake()
    first = sit(engine)
    assert engine.asked.count(PANEL.refusals[0]) == 2  # by the reference and by the version
    second = sit(engine, retention=first.retention)
    assert second.retention == first.retention
    assert engine.asked.count(PANEL.refusals[0]) == 3  # by the reference alone


def test_a_panel_that_is_not_worth_sitting_is_not_sat() -> None:
    engine, told = Fake(), []
    doubt = lambda own, earlier: told.append((own, earlier)) or False  # noqa: E731
    result = sit(engine, worth=doubt, earlier=[question(FREE, 1)])
    assert result.retention is None
    assert engine.asked.count(PANEL.refusals[0]) == 1  # by the reference alone
    assert told == [([*result.answers], [*result.earlier])]
    assert ExamResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_so_many_questions_a_lesson() -> None:
    scenes = [question(lesson, i, kind) for lesson in (NAME, FREE) for kind in ("apply", "near_miss") for i in range(9)]
    drawn = draw(scenes, ExamSettings(held_out=3, near_misses=2))
    assert len(drawn) == 10
    assert drawn == draw(scenes[::-1], ExamSettings(held_out=3, near_misses=2))


def test_earlier_lessons_share_the_room_and_take_turns() -> None:
    lessons = [Lesson(f"E{i}", "default", "", None, None, Check(any_of=("x",))) for i in range(8)]
    scenes = [question(lesson, i) for lesson in lessons for i in range(4)] + [question(NAME, 1, "near_miss")]
    settings = ExamSettings(earlier_questions=8)
    one, two = draw_earlier(scenes, settings, seed=1), draw_earlier(scenes, settings, seed=2)
    assert len({scene.lesson for scene in one}) == 8
    assert one == draw_earlier(scenes[::-1], settings, seed=1)
    assert one != two
    assert len(draw_earlier(scenes, ExamSettings(earlier_questions=100), 0)) == 24  # three of each
    few = draw_earlier(scenes, ExamSettings(earlier_questions=2), 0)  # no lesson is ever left out
    assert sorted(scene.lesson or "" for scene in few) == [lesson.id for lesson in lessons]


def test_the_reference_is_kept_and_measured_again_when_it_does_not_fit(tmp_path) -> None:
    path = tmp_path / "deep" / "reference.json"
    engine = Fake()
    first = Reference.cached(engine, PANEL, path)  # type: ignore[arg-type]
    engine.asked.clear()
    assert Reference.cached(engine, PANEL, path) == first  # type: ignore[arg-type]
    assert not engine.asked
    other = Panel.load(5)
    assert Reference.cached(engine, other, path).panel == other.digest  # type: ignore[arg-type]
    path.write_text("{")
    assert Reference.cached(engine, PANEL, path) == first  # type: ignore[arg-type]
    assert [file.name for file in path.parent.iterdir()] == ["reference.json"]
