"""The room of dreams: who writes, within which budgets, and what happens when dreams collapse."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from slowwave.config import load_settings
from slowwave.dream.collide import Memory
from slowwave.dream.diversity import Diversity
from slowwave.dream.dreamer import Dreamer
from slowwave.memory.graph import Graph, Links
from slowwave.models.endpoint import Endpoint
from slowwave.night.roles import DREAMER_KEY, RUBRIC_KEY, Roles
from slowwave.night.rooms import ModelRooms
from slowwave.records import Label, Lesson, Message, Node
from tests.unit.dream.conftest import DEPLOY, SISTER, Echo, Hashes

RICH, POOR = Diversity(1.0, 1.0), Diversity(0.01, 0.01)
SMALL = ("dream.ordinary=4", "dream.prose=0", "dream.watch=0", "dream.composed=10")


class Model(Echo):
    """Echoes, and counts words as tokens."""

    tokenizer = staticmethod(lambda text, **_: {"input_ids": text.split()})


@pytest.fixture
def dreamt(tmp_path: Any) -> Any:
    """Dreams of one lesson under these settings; returns the engine and what was dreamt."""

    def run(*wished: str, before: Any = (), lesson: Lesson = SISTER) -> tuple[Model, Any]:
        engine = Model()
        settings = load_settings(tmp_path / "home", (*SMALL, *wished))
        rooms = ModelRooms(settings, tmp_path / "cache", engine=engine, embedder=Hashes())  # type: ignore[arg-type]
        options: dict[str, Any] = {"more": {}, "older": {}, "seed": 1, "deadline": float("inf")}
        return engine, rooms.dream([lesson], [], [], None, before=before, progress=lambda *_: None, **options)

    return run


def test_the_base_reads_what_is_judged(tmp_path: Path) -> None:
    """A version must not judge what it is taught."""

    class Reader(Model):
        served: str | None = "n0001"
        reads: list[str | None] = []  # noqa: RUF012

        @contextmanager
        def using(self, adapter: str | None) -> Iterator[None]:
            before, self.served = self.served, adapter
            yield
            self.served = before

        def score(self, pairs: Any) -> list[Any]:
            self.reads.append(self.served)
            return [SimpleNamespace(nll=np.ones(1)) for _ in pairs]

    chat: tuple[Message, ...] = ({"role": "user", "content": "What is tea?"},)
    said = [Label(chat, f"Tea {n}{'!' * (n % 2)}", n % 2 > 0, str(n), "rating") for n in range(12)]
    reader: Any = Reader()
    found = ModelRooms(load_settings(tmp_path / "home", SMALL), tmp_path, engine=reader, embedder=Hashes()).judge(said)  # type: ignore[arg-type]
    assert found is not None and found.labels == 12
    assert reader.reads == [None]


def test_dreams_say_what_they_took_and_how_diverse_they_are(dreamt: Any) -> None:
    engine, found = dreamt()
    assert found.spent.tokens > 0 and found.spent.stopped == "" and not found.again
    assert 0 < found.diversity.distinct <= 1 and 0 < found.diversity.spread < 1
    assert len(engine.completions) == 1


def test_collapsed_dreams_are_dreamt_once_more_and_hotter(dreamt: Any) -> None:
    _, usual = dreamt()
    engine, found = dreamt(before=[RICH])
    assert found.again and len(engine.completions) == 2
    first, second = engine.completions
    assert second["temperature"] == pytest.approx(1.3 * first["temperature"]) and second["seed"] != first["seed"]
    worth = lambda one: one.diversity.distinct + one.diversity.spread  # noqa: E731
    assert worth(found) >= worth(usual)
    assert found.poor, "no dreams are as rich as those before were"
    between = Diversity(usual.diversity.distinct, (usual.diversity.spread + found.diversity.spread) / 2)
    _, found = dreamt("dream.diversity=1", before=[between])
    assert found.again and not found.poor
    for before, settings in (([POOR], ()), ([RICH], ("dream.diversity=0",))):
        engine, found = dreamt(*settings, before=before)
        assert not found.again and len(engine.completions) == 1


def test_a_spent_dreamer_is_told_of(dreamt: Any) -> None:
    _, found = dreamt("dream.max_tokens=5", "dream.written=3")
    assert found.spent.stopped == "its 5 tokens were spent" and found.scenes


def test_the_dreamer_of_the_settings_writes(dreamt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def complete(self: Endpoint, prompts: Any, *, n: int = 1, **_: Any) -> list[list[str]]:
        asked.append((self.url, self.model, self._headers))
        return [[""] * n for _ in prompts]

    monkeypatch.setattr(Endpoint, "complete", complete)
    monkeypatch.setenv(DREAMER_KEY, "secret")
    engine, _ = dreamt("dream.dreamer=http://127.0.0.1:9/v1#big")
    assert asked == [("http://127.0.0.1:9/v1", "big", {"authorization": "Bearer secret"})] and not engine.completions
    loaded: list[Any] = []
    other = Model()
    other.version = None
    monkeypatch.setattr("slowwave.night.roles.resolve", lambda name, cache: name)
    monkeypatch.setattr(
        "slowwave.models.engine.Engine", SimpleNamespace(load=lambda *what, **_: loaded.append(what) or other)
    )
    engine, found = dreamt("dream.dreamer=larger")
    assert loaded == [("larger",)] and other.completions and not engine.completions and found.scenes


def test_a_dreamer_that_is_down_does_not_end_the_night(dreamt: Any) -> None:
    _, found = dreamt("dream.dreamer=http://127.0.0.1:9/v1#big")
    assert "cannot be used" in found.spent.stopped and found.scenes


def test_who_judges_by_a_rubric_refuses_scenes(dreamt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint, or a larger model that is loaded once; without one nobody is asked."""
    said = lambda found: [one.messages[-1]["content"] for one in found.scenes if one.family == "composed"]  # noqa: E731
    _, usual = dreamt()
    refused = said(usual)[3]
    asked: list[str] = []
    headers: list[Any] = []

    def reply(self: Any, chats: Any, *, max_new_tokens: int) -> list[str]:
        assert max_new_tokens == 4
        headers.append(getattr(self, "_headers", None))
        asked.extend(chat[0]["content"] for chat in chats)
        return ["No." if f'Message: "{refused}"' in chat[0]["content"] else "Yes." for chat in chats]

    monkeypatch.setattr(Endpoint, "reply", reply)
    monkeypatch.setenv(DREAMER_KEY, "another's")
    monkeypatch.setenv(RUBRIC_KEY, "own")
    engine, found = dreamt("dream.rubric=http://127.0.0.1:9/v1#big")
    assert said(found) == [text for text in said(usual) if text != refused]
    assert found.judged.refused == 1 and found.judged.asked == len(asked) and not found.judged.stopped
    assert {one["authorization"] for one in headers} == {"Bearer own"}
    assert len(asked) > len(said(found)) and engine.completions, "the learner dreams, and is judged by another"
    loaded: list[Any] = []
    other = SimpleNamespace(
        generate=lambda chats, **options: [[SimpleNamespace(text=text)] for text in reply(None, chats, **options)]
    )
    monkeypatch.setattr("slowwave.night.roles.resolve", lambda name, cache: name)
    monkeypatch.setattr(
        "slowwave.models.engine.Engine", SimpleNamespace(load=lambda *what, **_: loaded.append(what) or other)
    )
    _, again = dreamt("dream.rubric=larger")
    assert loaded == [("larger",)] and said(again) == said(found)


@pytest.mark.parametrize(("rounds", "kept"), [(1, []), (2, ["larger"])])
def test_a_model_that_dreams_and_judges_is_loaded_once_and_let_go_when_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int, kept: list[str]
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr("slowwave.night.roles.resolve", lambda name, cache: name)
    monkeypatch.setattr(
        "slowwave.models.engine.Engine", SimpleNamespace(load=lambda name, **_: loaded.append(name) or Model())
    )
    settings = load_settings(tmp_path, ("dream.dreamer=larger", "dream.rubric=larger", f"dream.rounds={rounds}"))
    roles: Any = Roles(settings, tmp_path, Model())  # type: ignore[arg-type]
    judges = roles.rubric(7.0)
    judges.took = 3.0
    assert roles.rubric(7.0).took == 3.0, "its seconds are the night's, in whatever phase"
    assert judges.deadline == 7.0 and roles.writer().writer is roles._loaded["larger"]
    assert loaded == ["larger"]
    model = weakref.ref(roles._loaded["larger"])
    del judges
    roles.release()
    gc.collect()
    assert list(roles._loaded) == kept and (model() is None) is not bool(kept), "nothing else holds it"
    other = Roles(load_settings(tmp_path, ("dream.dreamer=b", "dream.rubric=a", "dream.rounds=2")), tmp_path, Model())  # type: ignore[arg-type]
    other.writer()
    other.rubric(7.0)
    other.release()
    assert list(other._loaded) == ["a"], "who wrote is done"


def test_a_judge_that_is_down_does_not_end_the_night(dreamt: Any) -> None:
    _, usual = dreamt()
    _, found = dreamt("dream.rubric=http://127.0.0.1:9/v1#big")
    assert "cannot be used" in found.judged.stopped and len(found.scenes) == len(usual.scenes)
    assert usual.judged is None


def test_seconds_are_a_budget_too(dreamt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr("slowwave.dream.writer.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    engine, found = dreamt("dream.max_seconds=2", "dream.written=3")
    assert found.spent.stopped == "its 2 seconds were spent" and found.spent.seconds == 2 and found.scenes
    assert len(engine.completions) == 2
    engine, found = dreamt("dream.written=3")
    assert not found.spent.stopped and len(engine.completions) > 2


def test_what_the_night_knows_reaches_the_dreamer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memories, graph, judge, lessons tried in vain, contradicted lessons, and the deadline."""
    made: list[Any] = []

    class Recorded(Dreamer):
        def dream(self, lessons: Any, **options: Any) -> Any:
            made.append((self, options))
            return super().dream(lessons, **options)

    monkeypatch.setattr("slowwave.night.rooms.Dreamer", Recorded)
    settings = load_settings(tmp_path / "home", (*SMALL, "dream.collided=0.5"))
    rooms: Any = ModelRooms(settings, tmp_path, engine=Model(), embedder=Hashes())  # type: ignore[arg-type]
    ids = (f"lesson:{SISTER.id}", "experience:tea")
    nodes = tuple(Node(id, "default", "experience", id, 0.0) for id in ids)
    graph = Graph(nodes, np.zeros((2, 0), np.float32), Links.of([(0, 1, "similar", 1.0)]))
    memory = Memory(ids[1], "How long do I steep tea?", "Two minutes.", ("tea",), "user")
    more, older, options = {SISTER.id: 2.0}, {SISTER.id: DEPLOY}, {"seed": 1, "progress": lambda *_: None}
    dream = lambda *known, **told: rooms.dream([SISTER], [], *known, before=[], **options, **told)  # noqa: E731
    rooms.judge([])
    found = dream([memory], graph, more=more, older=older, deadline=9e9)
    dreamer, told = made[-1]
    assert dreamer.judge is rooms._judge is not None
    assert (told["more"], told["older"], told["deadline"]) == (more, older, 9e9)
    met = [one for one in found.scenes if "tea" in one.lineage]
    assert met and any(one.walk == ids for one in met)
    alone = dream([], None, more={}, older={}, deadline=9e9)
    assert made[-1][0].collider is None and not any(one.walk for one in alone.scenes)
    count = lambda dreamt: sum(one.family == "composed" for one in dreamt.scenes)  # noqa: E731
    assert count(found) > count(alone), "twice the scenes of what was tried in vain"
