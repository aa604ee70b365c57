"""What may be dreamt of: nothing unpermitted, corrected, refused or erased."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from slowwave.experience.authority import Permission
from slowwave.experience.store import Store
from slowwave.night.memories import memories
from slowwave.records import Authority, Check, Experience, Lesson, Outcome
from tests.unit.night.cheap import CheapRooms


def lived(id: str, asked: str, said: str, source: str = "user:ann", **outcome: object) -> Experience:
    messages = ({"role": "user", "content": asked}, {"role": "assistant", "content": said})
    authority = source.split(":")[0]
    return Experience(id, "default", source, "2026-03-01T08:00:00Z", messages, Outcome(**outcome), authority)  # type: ignore[arg-type]


def taught(id: str, question: str, answer: str, came_from: str, **fields: object) -> Lesson:
    return Lesson(id, "default", answer, question, answer, Check((answer,)), experiences=(came_from,), authority="user",
                  **fields)  # type: ignore[arg-type] # fmt: skip


def test_only_what_may_teach_and_was_not_wrong_is_dreamt_of(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_many([
        lived("tea", "How long do I steep tea?", "Two minutes."),
        lived("bad", "Is it late?", "No.", rating=-1),
        lived("was", "What is my sister's name?", "Elena.", correction="Ilse."),
        lived("tool", "What failed?", "A test.", "tool:pytest"),
        lived("own", "Think.", "I think.", "assistant"),
        lived("long", "What is long?", "x" * 500),
    ])  # fmt: skip
    store.save_lesson(taught("1", "What is my sister's name?", "Ilse.", "was"))
    store.save_lesson(taught("2", "When is tea?", "At five.", "tea", status="refused"))
    found = {one.node: one.answer for one in memories(store, "default", Permission())}
    assert found == {"lesson:1": "Ilse."}, "the exchange of a refused lesson taught something wrong"
    store.erase("was")
    assert memories(store, "default", Permission()) == []


@pytest.mark.parametrize("turns", [1, 2, 4])
def test_an_answer_that_was_called_wrong_is_no_memory(tmp_path: Path, turns: int) -> None:
    store = Store(tmp_path)
    said = lived("was", "What is my sister's name?", "Elena.")
    later = (*lived("", "No, that's wrong.", "Sorry.").messages, *lived("", "And my aunt's?", "Ida.").messages)
    store.add(replace(said, messages=(*said.messages, *later[:turns])))
    store.add(lived("by", "What is my brother's name?", "Elias.", correction="Emil."))
    thanked = lived("tea", "How long do I steep tea?", "Two minutes.")
    store.add(replace(thanked, messages=(*thanked.messages, {"role": "user", "content": "Thanks!"})))
    assert [one.node for one in memories(store, "default", Permission())] == ["experience:tea"]


def test_a_conversation_is_remembered_once_by_its_opening(tmp_path: Path) -> None:
    """Each turn is recorded with all before it; what comes later may not be understood alone."""
    store = Store(tmp_path)
    tea, how, again = (lived(id, asked, f"Answer {id}.") for id, asked in
                       (("e1", "What is tea?"), ("e2", "And how is it made?"), ("e3", "What is tea?")))  # fmt: skip
    whole = replace(how, messages=(*tea.messages, *how.messages))
    store.add_many([tea, whole, again])
    assert [one.node for one in memories(store, "default", Permission())] == ["experience:e1"]
    store.amend("e1", outcome=Outcome(rating=-1))
    assert [one.node for one in memories(store, "default", Permission())] == ["experience:e3"]


def test_an_exchange_that_taught_nothing_is_a_memory(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_many(
        [lived("tea", "How long do I steep tea?", "Two minutes."), lived("t", "What failed?", "X.", "tool:x")]
    )
    assert [one.node for one in memories(store, "default", Permission())] == ["experience:tea"]
    both = memories(store, "default", Permission(("user", "tool")))
    assert {one.authority for one in both} == {"user", "tool"}


def test_what_the_newest_nights_made_of_lessons_is_dreamt_of(tmp_path: Path) -> None:
    """Reflections and skills, by the nodes that walks come to; gone with what they come from."""
    store = Store(tmp_path)
    for night, id in enumerate(("old", "tea", "cat", "bus"), 1):
        store.add(lived(id, f"Who says {id}?", "I.", source="tool:x" if id == "bus" else "user:ann"))
        store.save_lesson(taught(f"{night}", f"Who says {id}?", f"{id}.", id, status="learned", night=night))
    store.add(lived("how", "How do I open the gate?", "Pull.", correction="Push."))
    store.save_lesson(taught("5", "How do I open the gate?", "Push.", "how", status="learned", night=3))

    def made(*permitted: Authority) -> dict[str, tuple[str, str, tuple[str, ...]]]:
        CheapRooms().link(store, "default", lambda *_: None)
        graph = {node.id for node in store.graph.load("default").nodes}
        found = [one for one in memories(store, "default", Permission(permitted)) if one.node.startswith(("ref", "sk"))]
        assert {one.node for one in found} <= graph, "a walk finds them"
        return {one.answer: (one.node.partition(":")[0], one.question, one.experiences) for one in found}

    settled = "What did we settle lately?"
    assert made("user", "tool") == {
        "tea.": ("reflection", settled, ("tea",)), "cat. Push.": ("reflection", settled, ("cat", "how")),
        "bus.": ("reflection", settled, ("bus",)), "Push.": ("skill", "What should you keep in mind?", ("how",)),
    }, "of the newest three nights"  # fmt: skip
    about = {one.node.partition(":")[0]: one.about for one in memories(store, "default", Permission())}
    assert about["skill"] == ("How do I open the gate?",) and about["lesson"] == ()
    assert made("user").keys() == {"tea.", "cat. Push.", "Push."}, "a tool's word may not be dreamt of"
    store.erase("how")
    assert made("user", "tool").keys() == {"tea.", "cat.", "bus."}


def test_of_a_long_reflection_the_first_whole_sentences_are_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(5):
        store.add(lived(f"e{number}", f"What is {number}?", "I.", correction="X"))
        store.save_lesson(taught(f"{number}", f"What is {number}?", f"{number}{'x' * 149}.", f"e{number}",
                                 status="learned", night=1))  # fmt: skip
    made = [one for one in memories(store, "default", Permission()) if one.node.startswith("reflection")]
    assert [(len(one.answer), one.experiences) for one in made] == [(303, ("e0", "e1"))]
