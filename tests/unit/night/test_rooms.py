"""What the room of training keeps on disk."""

import subprocess
import sys
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch

from slowwave.config import load_settings
from slowwave.dream.loop import cloned
from slowwave.dream.rubric import Rubric
from slowwave.dream.writer import Spent
from slowwave.learn.train import Trained
from slowwave.night.rooms import ModelRooms
from slowwave.records import Check, Lesson
from tests.unit.dream.conftest import Hashes


class Engine:
    base_hash, template_hash = "b" * 64, "t" * 64
    model = SimpleNamespace(dtype=torch.float32)

    def using(self, _):
        return nullcontext()


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """A night's training under these settings, with what it was told of the disk in place of a training."""
    told = []
    weights = SimpleNamespace(at=lambda fraction: None, save=lambda folder: {"bytes": 0}, release=lambda: None)
    monkeypatch.setattr("slowwave.learn.train.train", lambda *_, disk, **__: told.append(disk) or Trained(weights))
    monkeypatch.setattr(
        "slowwave.night.decisions.curriculum", lambda *_: SimpleNamespace(lessons=[], anchors=[], watch=[])
    )

    def run(*wished):
        rooms = ModelRooms(load_settings(tmp_path / "home", wished), tmp_path / "cache", engine=Engine())
        often = {
            "lessons": [],
            "more": {},
            "start": None,
            "folders": {1.0: tmp_path},
            "asked": set(),
            "spent": Spent(7, 2.0),
        }
        rooms.train([], [], **often, seed=0, deadline=0.0, on_step=print, on_round=print)
        return told[-1]

    return run


def test_contexts_are_kept_by_base_and_precision_and_deleted_when_no_longer_wished(trained, tmp_path, monkeypatch):
    assert trained() is None
    disk = trained("learn.context=frozen", "learn.context_disk=0.5")
    assert disk.size == 1 << 29 and disk.template == "t" * 64 and disk.folder.parent == tmp_path / "cache" / "contexts"
    monkeypatch.setattr(Engine.model, "dtype", torch.bfloat16)
    other = trained("learn.context=frozen", "learn.context_disk=0.5")
    assert other.base != disk.base and other.folder != disk.folder
    disk.folder.mkdir(parents=True)
    assert trained("learn.context=frozen") is None and not disk.folder.exists()


def test_more_than_one_round_is_planned_and_told_of_and_one_is_not(monkeypatch, tmp_path):
    planned, given, roles = [], [], []
    weights = SimpleNamespace(at=lambda fraction: None, save=lambda folder: {"bytes": 0}, release=lambda: None)

    class Planned:
        converged = {"b", "a"}  # noqa: RUF012

        def __init__(self, engine, embedder, scenes, taught, dream, *_, more, **others):
            planned.append((scenes, dream.rounds, more))
            roles.append(others)

        def plan(self):
            return "the rounds"

    taught = SimpleNamespace(lessons=[], anchors=[], watch=[])
    monkeypatch.setattr("slowwave.night.rounds.Rounds", Planned)
    monkeypatch.setattr("slowwave.learn.train.train", lambda *_, **told: given.append(told) or Trained(weights))
    monkeypatch.setattr("slowwave.night.decisions.curriculum", lambda *told: given.append(told[-1]) or taught)

    def report(rounds, *wished, embedder="embedder", scenes=("scene",)):
        settings = load_settings(tmp_path / "home", (f"dream.rounds={rounds}", "dream.anew=0", *wished))
        rooms = ModelRooms(settings, tmp_path / "cache", engine=Engine(), embedder=embedder)
        told = {"more": {"a": 2.0}, "start": None, "folders": {1.0: tmp_path}, "asked": set(), "spent": Spent(7, 2.0)}
        told["lessons"] = [Lesson(kind, "", "", "What?", "That.", Check(), kind=kind) for kind in ("answer", "cue")]
        return rooms.train(list(scenes), [], **told, seed=0, deadline=9.0, on_step=print, on_round=print)

    assert report(1).converged is None and planned == [] and given[-1]["rounds"] is None
    assert report(3).converged == ["a", "b"] and planned == [(["scene"], 3, {"a": 2.0})]
    more, told = given[-2:]
    assert more == {"a": 2.0} and (told["rounds"], told["deadline"]) == ("the rounds", 9.0)
    assert (roles[-1]["anew"], roles[-1]["rubric"]) == (None, None), "neither was wished for"
    learn = roles[-1]["learn"]
    assert learn.func is cloned and learn.keywords == {"likes": None}
    told = report(3, "dream.rubric=http://127.0.0.1:9/v1#big", "dream.anew=5", embedder=Hashes(), scenes=())
    assert isinstance(roles[-1]["rubric"], Rubric) and roles[-1]["rubric"].deadline == 9.0
    assert told.judged is roles[-1]["rubric"].told
    anew = roles[-1]["anew"]
    assert (anew.each, anew.deadline, list(anew.lessons)) == (5, 9.0, ["answer"])
    assert roles[-1]["deadline"] == 9.0
    assert anew.wordings.writer.spent == Spent(7, 2.0), "the budgets are of the whole night, after a resume too"
    assert told.written == Spent(0, 0.0)
    assert report(3, "dream.anew=5", "dream.dreamer=http://127.0.0.1:9/v1#big").written is None
    assert roles[-1]["anew"] is None, "a larger dreamer is needed no more"


def test_a_trusted_judge_reads_good_answers_as_the_base_does(monkeypatch, tmp_path):
    """Not as the version in training does, and never where the base's own parameters are trained."""
    silenced = []

    @contextmanager
    def silent(model):
        silenced.append(model)
        yield
        silenced.pop()

    def likes(*wished, trusted=True):
        settings = load_settings(tmp_path / "home", wished)
        rooms = ModelRooms(settings, tmp_path / "cache", engine=Engine(), embedder="embedder")
        rooms._judge = SimpleNamespace(trusted=trusted, chance=lambda pairs: [*silenced, pairs])
        return rooms._likes()

    monkeypatch.setattr("slowwave.learn.adapter.silent", silent)
    assert likes()("pairs") == [Engine.model, "pairs"] and silenced == []
    assert likes(trusted=False) is None and likes("learn.preset=full", "learn.depth=1") is None
    rooms = ModelRooms(load_settings(tmp_path / "home", ()), tmp_path / "cache", engine=Engine(), embedder="embedder")
    assert rooms._likes() is None, "nobody said yet what is good"


def test_a_judge_that_is_asked_again_reads_nothing_twice(monkeypatch, tmp_path):
    made = []

    class Judge:
        agreement = "agreement"

        def __init__(self, engine, embedder, labels):
            made.append(labels)

        def again(self, labels):
            made.append(("again", labels))
            return self

    monkeypatch.setattr("slowwave.dream.judge.Judge", Judge)
    rooms = ModelRooms(load_settings(tmp_path / "home", ()), tmp_path / "cache", engine=Engine(), embedder="embedder")
    assert [rooms.judge([1]), rooms.judge([1, 2])] == ["agreement"] * 2 and made == [[1], ("again", [1, 2])]


def test_a_night_that_trains_nothing_loads_no_model_library():
    """Every command that looks at nights imports the rooms."""
    code = "import sys, slowwave.night.sleep; print([m for m in ('transformers', 'peft') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
