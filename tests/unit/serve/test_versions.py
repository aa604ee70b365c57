"""The version that answers is the one that the registry names, at every turn."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from slowwave.models.manifest import Manifest
from slowwave.models.registry import Registry
from slowwave.serve import answer

HELLO = [{"role": "user", "content": "hello"}]


def promote(registry: Registry, night: int, parent: str, persona: str = "default") -> str:
    staged = registry.stage(persona, night)
    (staged / "adapter_model.safetensors").write_bytes(f"weights of {persona} in night {night}".encode())
    (staged / "adapter_config.json").write_text("{}")
    manifest = Manifest(persona, night, parent, "adapter", "b" * 64, "t" * 64)
    return registry.promote(staged, manifest, lambda: None)


def ask(served, **headers):
    raw = served.client(**headers).chat.completions.with_raw_response.create(model="slowwave", messages=HELLO)
    completion = raw.parse()
    assert raw.headers["x-slowwave-adapter"] == completion.model
    return completion


def test_a_promotion_and_an_undo_are_served_without_a_restart(serve, registry, store):
    served = serve()
    assert ask(served).model == "default@base"
    parent = "default@base"
    for night in (1, 2):
        parent = promote(registry, night, parent)
        said = ask(served)
        assert said.model == f"default@n000{night}"
        assert said.choices[0].message.content == f"default@n000{night}: hello"
        assert said.system_fingerprint == f"sha256:{registry.serving('default').sha256}"
        assert served.engine.loaded == [said.model]  # the version before it is no longer in memory
    assert [model.id for model in served.client().models.list()][-1] == "default@n0002"
    registry.undo("default")
    assert ask(served).model == "default@n0001"
    registry.undo("default")
    assert ask(served).model == "default@base"
    served.settle()
    assert {e.adapter for e in store.experiences()} == {"default@base", "default@n0001", "default@n0002"}


def test_each_persona_has_its_own_version(serve, registry, store):
    store.add_persona("mira")
    promote(registry, 1, "mira@base", "mira")
    served = serve()
    assert ask(served).model == "default@base"
    assert ask(served, **{"x-slowwave-persona": "mira"}).model == "mira@n0001"
    assert ask(served).model == "default@base"


@pytest.mark.parametrize("damage", ["weights", "pointer", "gone", "swapped"])
def test_a_damaged_version_is_not_served_and_nothing_else_in_its_place(serve, registry, damage):
    promote(registry, 1, "default@base")
    home = registry.home / "personas" / "default"
    weights, pointer = home / "adapters" / "n0001" / "adapter_model.safetensors", home / "serving.json"
    if damage == "weights":
        weights.write_bytes(b"other bytes")
    elif damage == "gone":
        weights.unlink()
    elif damage == "pointer":
        pointer.write_text("{")
    else:
        pointer.write_text(json.dumps({"adapter": "default@n0001", "sha256": "0" * 64}))
    served = serve()
    for _ in range(2):
        with pytest.raises(openai.InternalServerError) as caught:
            ask(served)
        assert caught.value.status_code == 503
        assert caught.value.code == "version_unusable"
    assert served.engine.asked == []


@pytest.fixture
def served(serve, registry, store):
    """A server of two personas, each with a version of its own."""
    store.add_persona("mira")
    promote(registry, 1, "default@base")
    promote(registry, 2, "mira@base", "mira")
    return serve()


def test_a_version_that_was_undone_leaves_memory(served, registry):
    ask(served)
    ask(served, **{"x-slowwave-persona": "mira"})
    assert served.engine.loaded == ["default@n0001", "mira@n0002"]
    registry.undo("mira")
    ask(served)  # whoever asks
    assert served.engine.loaded == ["default@n0001"]
    registry.undo("default")
    assert ask(served).model == "default@base"
    assert served.engine.loaded == []


def test_damage_to_another_persona_stops_nobody(served, registry):
    ask(served, **{"x-slowwave-persona": "mira"})
    (registry.home / "personas" / "mira" / "serving.json").write_text("{")
    assert ask(served).model == "default@n0001"
    assert served.engine.loaded == ["default@n0001"]


def test_so_many_versions_stay_in_memory_and_the_longest_silent_one_goes(serve, registry, store, monkeypatch):
    monkeypatch.setattr(answer, "LOADED", 3)
    for night, name in enumerate(("p0", "p1", "p2", "p3"), start=1):
        store.add_persona(name)
        promote(registry, night, f"{name}@base", name)
    served = serve()
    for name in ("p0", "p1", "p2", "p0", "p3"):
        assert ask(served, **{"x-slowwave-persona": name}).model.startswith(f"{name}@n")
    assert sorted(served.engine.loaded) == ["p0@n0001", "p2@n0003", "p3@n0004"]
    assert ask(served, **{"x-slowwave-persona": "p1"}).model == "p1@n0002"  # comes back when it is asked
    assert len(served.engine.loaded) == 3


def test_a_version_that_is_answering_stays_until_it_is_done(served, registry, monkeypatch):
    monkeypatch.setattr(answer, "LOADED", 1)
    served.engine.delay = 0.01
    long = [{"role": "user", "content": "word " * 40}]
    with (
        ThreadPoolExecutor() as pool,
        served.client().chat.completions.create(model="slowwave", messages=long, stream=True) as stream,
    ):
        chunks = iter(stream)
        first = next(chunks)
        meanwhile = pool.submit(ask, served, **{"x-slowwave-persona": "mira"})
        words = "".join(chunk.choices[0].delta.content or "" for chunk in [first, *chunks])
    assert words == "default@n0001: " + " ".join(["word"] * 40)
    assert meanwhile.result().model == "mira@n0002"
    assert served.engine.loaded == ["mira@n0002"]
