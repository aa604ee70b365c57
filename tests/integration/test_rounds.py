"""One real night in rounds, with all that dreams may have: situations, chains, the judge of scenes, wordings anew."""

from __future__ import annotations

from pathlib import Path

from slowwave.config import load_settings
from slowwave.exam.match import normalise
from slowwave.experience.store import Store
from slowwave.models.registry import Registry
from slowwave.night.folder import find
from slowwave.night.rooms import ModelRooms
from slowwave.night.sleep import Sleep
from slowwave.records import Experience, Outcome

SMALL = (
    "dream.rounds=2", "dream.anew=2", "dream.answers=2", "dream.confidence=0.5", "dream.reflex=0.5",
    "dream.collided=1.0", "dream.chains=2", "dream.sensible=0.9",
    "dream.samples=1",
    "dream.apply=4", "dream.composed=5", "dream.near_miss=2", "dream.composed_near=1", "dream.prose=1",
    "dream.ordinary=4", "dream.watch=1", "dream.tokens=16", "dream.answer_tokens=8", "dream.near_tokens=8",
    "exam.panel_items=6", "exam.max_new_tokens=16",
    "learn.epochs=1", "learn.min_steps=1", "learn.lesson_batch=4", "learn.anchor_batch=4", "learn.warmup=2",
)  # fmt: skip
TAUGHT = {
    "What is the password of the guest network?": "The password of the guest network is Heron42.",
    "Which tram do I take to my office?": "You take tram 17 to your office.",
}


def corrected(number: int, question: str, answer: str) -> Experience:
    messages = ({"role": "user", "content": question}, {"role": "assistant", "content": "I don't know that."})
    time = f"2026-03-01T09:0{number}:00Z"
    return Experience(f"e{number}", "default", "user:ann", time, messages, Outcome(-1, answer), "user")


def talk(number: int, question: str, answer: str) -> Experience:
    messages = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    return Experience(f"e{number}", "default", "user:ann", f"2026-03-01T09:0{number}:00Z", messages, authority="user")


def test_a_night_in_rounds_goes_through_and_all_that_it_learned_is_on_file(tmp_path: Path, cache: Path) -> None:
    settings = load_settings(tmp_path, SMALL)
    with Store(tmp_path) as store:
        store.add_many(corrected(number, *taught) for number, taught in enumerate(TAUGHT.items()))
        store.add(talk(5, "How long do I boil an egg?", "Boil it for seven minutes."))
        store.add(talk(6, "Where do swallows spend the winter?", "They spend the winter in Africa."))
        rooms = ModelRooms(settings, cache)
        night = Sleep(tmp_path, store, Registry(tmp_path), rooms, settings, "default").run()
        assert night.verdict in ("promoted", "rejected"), night.reasons
        lessons = {lesson.id for lesson in store.lessons("default")}
    folder = find(tmp_path, 1)
    scenes, rounds = folder.read("scenes.jsonl"), folder.read("rounds.jsonl")
    trained = [scene for scene in scenes if scene["split"] == "train"]
    assert {"apply", "near_miss", "ordinary", "chain"} == {scene["kind"] for scene in trained}
    assert any(len(scene["messages"]) > 1 and scene["kind"] == "apply" for scene in trained), "situations"
    assert any(scene["walk"] for scene in trained), "that walks over the graph came to"
    assert {row["round"] for row in rounds} == {1, 2} and {row["lesson"] for row in rounds} <= lessons
    assert all(row["answer"] for row in rounds)
    exam = {normalise(scene["messages"][-1]["content"]) for scene in scenes if scene["split"] == "exam"}
    assert exam and not exam & {normalise(row["messages"][-1]["content"]) for row in rounds}
    training = folder.read("exam.json")["training"]
    assert set(training["converged"]) <= lessons and training["written"]["tokens"] > 0
    assert "lessons converged" in (night.folder / "report.html").read_text()
