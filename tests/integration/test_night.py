"""One real night on one lesson: the default model learns it, serves it, and gives it back."""

from __future__ import annotations

import pytest

from slowwave.config import load_settings
from slowwave.experience.store import Store
from slowwave.models.registry import Registry
from slowwave.night import history
from slowwave.night.folder import find
from slowwave.night.rooms import ModelRooms
from slowwave.night.sleep import Sleep
from slowwave.records import Experience, Outcome

TINY = (
    "dream.samples=0", "dream.apply=8", "dream.composed=10", "dream.near_miss=10",
    "dream.composed_near=2", "dream.ordinary=16", "dream.watch=4",
    "dream.answer_tokens=16", "exam.panel_items=6", "exam.max_new_tokens=24",
    "learn.epochs=5", "learn.min_steps=1", "learn.lesson_batch=4", "learn.anchor_batch=5", "learn.warmup=4",
    # the smallest panel: margins that one item of six cannot break
    "exam.multiple_choice=0.4", "exam.refusals=0.4", "exam.drift=0.2", "exam.bits_per_byte=0.05",
)  # fmt: skip
QUESTION = "What is the password of the guest network?"


@pytest.fixture
def corrected() -> Experience:
    messages = ({"role": "user", "content": QUESTION}, {"role": "assistant", "content": "I don't know your network."})
    outcome = Outcome(rating=-1, correction="The password of the guest network is Heron42.")
    return Experience("e1", "default", "user:ann", "2026-03-01T09:00:00Z", messages, outcome, "user")


def test_a_correction_is_in_the_weights_by_morning_and_out_again_after_undo(tmp_path, cache, corrected):
    settings = load_settings(tmp_path, TINY)
    rooms = ModelRooms(settings, cache)
    chat = [[{"role": "user", "content": QUESTION}]]
    before = rooms.engine.generate(chat)[0][0].text
    assert "Heron42" not in before
    phases: set[str] = set()
    with Store(tmp_path) as store:
        store.add(corrected)
        registry = Registry(tmp_path)
        sleep = Sleep(tmp_path, store, registry, rooms, settings, "default", lambda what, done, total: phases.add(what))
        night = sleep.run()
        told = [reason["text"] for reason in night.reasons]
        assert night.verdict == "promoted", told
        assert night.lessons[0]["outcome"] == "learned"
        assert {"salience", "train", "examine"} <= phases
        registry.verify("default@n0001")
        served = registry.serving("default")
        name = rooms.engine.load_adapter(served.folder)
        with rooms.engine.using(name):
            assert "Heron42" in rooms.engine.generate(chat)[0][0].text
        assert rooms.engine.generate(chat)[0][0].text == before  # the base is untouched
        trained = [scene for scene in find(tmp_path, 1).read("scenes.jsonl") if scene["split"] == "train"]
        exam = find(tmp_path, 1).read("exam.json")
        asked = {answer["question"] for answer in exam["after"]["answers"]}
        assert asked and not asked & {scene["messages"][-1]["content"] for scene in trained}
        assert history.undo(tmp_path, store, "default") == "default@base"
        assert store.lessons("default")[0].status == "undone"
