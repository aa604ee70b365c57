"""The exam on the real default model: its own figures, and whether damage shows."""

import json
from pathlib import Path

import pytest
import torch

from slowwave.errors import ExamError
from slowwave.exam.drift import forward_kl
from slowwave.exam.examine import examine
from slowwave.exam.panel import Panel
from slowwave.exam.probes import ProbeResult
from slowwave.exam.retention import Reference, Retention, bits_per_byte, choose, measure
from slowwave.exam.settings import ExamSettings
from slowwave.learn import difference
from slowwave.models.engine import Engine
from slowwave.records import Check, Lesson, Scene

LIMIT = 8  # items of each part: half a minute in all


@pytest.fixture(scope="module")
def engine(cache: Path) -> Engine:
    return Engine.load(cache / "models" / "smollm2-135m-instruct")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel.load(LIMIT)


@pytest.fixture(scope="module")
def reference(engine: Engine, panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return Reference.cached(engine, panel, tmp_path_factory.mktemp("exam") / "reference.json")


def add_noise(engine: Engine, folder: Path, name: str, size: float) -> str:
    """A version whose weights are off by `size` times their own spread."""
    torch.manual_seed(0)
    base = {key: value.detach() for key, value in difference.base_parameters(engine.model).items() if value.ndim == 2}
    changed = {key: value + size * value.float().std() * torch.randn_like(value) for key, value in base.items()}
    difference.save(base, changed, folder)
    engine.add_version(name, folder)
    return name


def test_the_base_is_well_above_chance(engine: Engine) -> None:
    right = choose(engine, Panel.load())
    assert sum(right) / len(right) > 0.75  # chance: 0.25


def test_the_base_against_itself(engine: Engine, panel: Panel, reference: Reference) -> None:
    with engine.using(None):
        assert measure(engine, panel, reference) == reference.retention()
    assert 0.9 < reference.bits_per_byte < 1.4
    assert bits_per_byte(engine, panel) == pytest.approx(reference.bits_per_byte, rel=1e-6)
    pairs = list(zip(panel.chats, reference.answers, strict=True))
    assert forward_kl(engine, pairs).per_token == 0.0
    assert all(reference.answers)


def test_damage_shows_and_grows(engine: Engine, panel: Panel, reference: Reference, tmp_path: Path) -> None:
    figures: list[Retention] = []
    for size in (0.02, 0.5):
        with engine.using(add_noise(engine, tmp_path / str(size), f"noise-{size}", size)):
            figures.append(measure(engine, panel, reference))
    little, much = figures
    assert 0 < little.drift < 0.05
    assert little.bits_per_byte == pytest.approx(reference.bits_per_byte, rel=0.02)
    assert much.drift > 1
    assert much.bits_per_byte > 1.5 * reference.bits_per_byte
    assert much.general_agreement < 0.5 < little.general_agreement
    assert sum(much.multiple_choice) < sum(little.multiple_choice)


def test_the_exam_of_a_version_that_learned_nothing(
    engine: Engine, panel: Panel, reference: Reference, tmp_path: Path
) -> None:
    lesson = Lesson("L", "default", "The capital is Paris.", None, None, Check(any_of=("Paris",)))
    ask_for = lambda text: ({"role": "user", "content": text},)  # noqa: E731
    scenes = [
        Scene("s1", "L", "apply", ask_for("What is the capital of France?"), None, "a", "exam"),
        Scene("s2", "L", "near_miss", ask_for("What is the capital of Italy?"), None, "b", "exam"),
    ]
    version = add_noise(engine, tmp_path, "nearly-base", 0.005)
    before, after = (
        examine(engine, adapter=adapter, lessons=[lesson], scenes=scenes, earlier=[], panel=panel,
                reference=reference, settings=ExamSettings())
        for adapter in (None, version)
    )  # fmt: skip
    result = ProbeResult(before.answers, after.answers)
    assert result.by_lesson() == {"L": (1.0, 1.0)}
    assert result.gain().value == 0
    assert result.takeovers() == [False]
    assert result.kept() == [(True, True)]
    assert json.loads(json.dumps(after.to_dict()))["retention"]["drift"] < 0.05


def test_a_version_with_a_nan_cannot_be_examined(
    engine: Engine, panel: Panel, reference: Reference, tmp_path: Path
) -> None:
    engine.add_version("broken", _broken(engine, tmp_path))
    with engine.using("broken"), pytest.raises(ExamError, match="NaN"):
        measure(engine, panel, reference)
    assert engine.active is None


def _broken(engine: Engine, folder: Path) -> Path:
    norm = difference.base_parameters(engine.model)["model.norm.weight"].detach()
    difference.save({"model.norm.weight": norm}, {"model.norm.weight": norm * float("nan")}, folder)
    return folder
