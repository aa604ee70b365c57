"""What stays when an experience is erased has none of its words, and whoever erases it hears where they still are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slowwave.errors import NotFound
from slowwave.experience.linking import Linker
from slowwave.experience.store import Store
from slowwave.night.erasing import erase
from slowwave.night.gather import _keep
from slowwave.night.lessons import extract
from slowwave.records import Experience, Outcome
from tests.unit.night.test_waking import Words

RULE = 'When I say "Ahoy", begin with "Aye aye!".'


@pytest.fixture
def store(tmp_path: Any) -> Any:
    with Store(tmp_path) as opened:
        yield opened


def said(id: str, *texts: str, minute: int = 0) -> Experience:
    turns = [({"role": "user", "content": text}, {"role": "assistant", "content": "I see."}) for text in texts]
    messages = tuple(message for turn in turns for message in turn)
    return Experience(id, "default", "user:ann", f"2026-03-01T09:{minute:02d}:00Z", messages, authority="user")


def heard(store: Store, *experiences: Experience) -> Any:
    """The lesson that a night keeps of these."""
    for one in experiences:
        store.add(one)
        lesson = extract(one)
        assert lesson is not None
        _keep(store, lesson)
    (held,) = store.lessons("default")
    return held


def test_a_habit_that_was_said_again_stays_in_the_words_of_what_stays(store: Store) -> None:
    secret = f"{RULE} My oncologist Dr. Karl Weber says it cheers me up."
    held = heard(store, said("e1", secret), said("e2", RULE, minute=5))
    assert "Weber" in held.note
    Linker(store, Words(), "default").link()
    store.set_status(held.id, "approved")
    edited = store.edit_lesson(held.id, question="Ahoy! Who goes there?")
    assert erase(store, store.experience("e1")).whole.lessons == []
    (kept,) = store.lessons("default")
    assert "Weber" not in " ".join(node.text for node in store.graph.load("default").nodes)
    assert kept.note == RULE and kept.experiences == ("e2",) and kept.cue == held.cue
    assert kept.question == edited.question, "as a person edited it"
    assert [lesson.id for lesson in erase(store, store.experience("e2")).whole.lessons] == [held.id]
    assert store.lessons("default") == []


def test_what_a_person_edited_stays_as_it_is(store: Store) -> None:
    held = heard(store, said("e1", f"{RULE} Thanks."), said("e2", RULE, minute=5))
    store.edit_lesson(held.id, note="Greet me as a sailor would.")
    erase(store, store.experience("e1"))
    assert store.lesson(held.id).note == "Greet me as a sailor would."


def test_what_nights_made_of_a_lesson_goes_with_its_words(store: Store) -> None:
    held = heard(store, said("e1", f"{RULE} Dr. Weber likes it."), said("e2", RULE, minute=5))
    store.set_status(held.id, "learned", night=1)
    Linker(store, Words(), "default").link()
    kinds = {node.kind for node in store.graph.load("default").nodes}
    assert {"reflection", "skill"} <= kinds
    erase(store, store.experience("e1"))
    assert "Weber" not in " ".join(node.text for node in store.graph.load("default").nodes)


def test_a_shorter_answer_that_a_person_gave_stays(store: Store) -> None:
    asked = ({"role": "user", "content": "What is my name?"}, {"role": "assistant", "content": "Tom."})
    for number in (1, 2):
        store.add(replace(said(f"e{number}", "x", minute=number), messages=asked, outcome=Outcome(-1, "Mira Stone.")))
        lesson = extract(store.experience(f"e{number}"))
        assert lesson is not None
        _keep(store, lesson)
    store.edit_lesson(lesson.id, answer="Mira", note="Mira")
    store.set_status(lesson.id, "approved")
    erase(store, store.experience("e1"))
    kept = store.lesson(lesson.id)
    assert (kept.answer, kept.review) == ("Mira", "approved")


def test_the_other_turns_of_a_conversation_are_named(store: Store) -> None:
    """Each is recorded with all that was said before it, and with what was asked next."""
    first, second = said("t1", "I have an ulcer."), said("t2", "I have an ulcer.", "What may I eat?", minute=1)
    asked = {"role": "user", "content": "What may I eat?"}
    other = said("t3", "I have a boat.", "How fast is it?", minute=2)
    store.add_many([replace(first, messages=(*first.messages, asked)), second, other])
    assert erase(store, second).holding == ["t1"]
    store.add(second)
    assert erase(store, store.experience("t1")).holding == ["t2"]
    with pytest.raises(NotFound):
        erase(store, first)


def test_a_lesson_is_put_in_the_words_of_a_turn_that_has_none_of_the_erased_ones(store: Store) -> None:
    secret = f"{RULE} Dr. Weber says it cheers me up."
    heard(store, said("e1", secret), said("e2", RULE, minute=5), said("e3", secret, "Ahoy! What is tea?", minute=9))
    assert erase(store, store.experience("e1")).holding == ["e3"]
    assert store.lessons("default")[0].note == RULE
