"""What stays when an experience is erased has none of its words, and whoever erases it hears where they still are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slowwave.errors import NotFound
from slowwave.experience.store import Store
from slowwave.night.erasing import erase
from slowwave.night.gather import _keep
from slowwave.night.lessons import extract
from slowwave.records import Experience

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
    assert erase(store, store.experience("e1")).whole.lessons == []
    (kept,) = store.lessons("default")
    assert kept.note == RULE and kept.experiences == ("e2",) and kept.cue == held.cue
    assert [lesson.id for lesson in erase(store, store.experience("e2")).whole.lessons] == [held.id]
    assert store.lessons("default") == []


def test_what_a_person_edited_stays_as_it_is(store: Store) -> None:
    held = heard(store, said("e1", f"{RULE} Thanks."), said("e2", RULE, minute=5))
    store.edit_lesson(held.id, note="Greet me as a sailor would.")
    erase(store, store.experience("e1"))
    assert store.lesson(held.id).note == "Greet me as a sailor would."


def test_the_later_turns_of_a_conversation_are_named(store: Store) -> None:
    """Each is recorded with all that was said before it."""
    first, second = said("t1", "I have an ulcer."), said("t2", "I have an ulcer.", "What may I eat?", minute=1)
    other = said("t3", "I have a boat.", "I have an ulcer.", minute=2)
    store.add_many([first, second, other])
    assert erase(store, replace(second)).holding == []
    store.add(second)
    assert erase(store, first).holding == ["t2"]
    with pytest.raises(NotFound):
        erase(store, first)
