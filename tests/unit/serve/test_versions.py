"""The version that answers is the one that the registry names, at every turn."""

from __future__ import annotations

import json

import openai
import pytest

from slowwave.models.manifest import Manifest
from slowwave.models.registry import Registry

HELLO = [{"role": "user", "content": "hello"}]


def promote(registry: Registry, night: int, parent: str, persona: str = "default") -> str:
    staged = registry.stage(persona, night)
    (staged / "adapter_model.safetensors").write_bytes(f"weights of {persona} in night {night}".encode())
    (staged / "adapter_config.json").write_text("{}")
    manifest = Manifest(persona, night, parent, "adapter", "b" * 64, "t" * 64)
    return registry.promote(staged, manifest, lambda: None)


def ask(served, **headers):
    answer = served.client(**headers).chat.completions.with_raw_response.create(model="slowwave", messages=HELLO)
    completion = answer.parse()
    assert answer.headers["x-slowwave-adapter"] == completion.model
    return completion


def test_a_promotion_and_an_undo_are_served_without_a_restart(serve, registry, store):
    served = serve()
    assert ask(served).model == "default@base"
    parent = "default@base"
    for night in (1, 2):
        parent = promote(registry, night, parent)
        answer = ask(served)
        assert answer.model == f"default@n000{night}"
        assert answer.choices[0].message.content == f"default@n000{night}: hello"
        assert answer.system_fingerprint == f"sha256:{registry.serving('default').sha256}"
        assert served.engine.loaded == [answer.model]  # the version before it is no longer in memory
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
