"""What was just learned is in the prompt until a night has put it into the weights."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slowwave.config import NightSettings
from slowwave.errors import StoreError
from slowwave.experience.store import Store
from slowwave.night.lessons import from_note
from slowwave.night.waking import Waking, prompt_tokens, waiting, with_notes
from slowwave.records import Experience, Lesson, Outcome


class Words:
    """Texts as counts of their words."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), 128), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().replace("?", "").split():
                row[int(hashlib.sha256(word.encode()).hexdigest(), 16) % 128] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def count(self, text: str) -> int:
        return len(text.split())


def corrected(id: str, question: str, answer: str, day: int = 1, **fields: Any) -> Experience:
    said = ({"role": "user", "content": question}, {"role": "assistant", "content": "I am not sure."})
    basis = Experience(
        id, "default", "user:ann", f"2026-03-{day:02d}T09:00:00Z", said, Outcome(correction=answer), authority="user"
    )
    return dataclasses.replace(basis, **fields)


TRAM = corrected("e1", "Which tram do I take to the office?", "Your tram to the office is tram 5.")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as opened:
        yield opened


def asked(store: Store, question: str, budget: int = 100, settings: NightSettings = NightSettings()) -> list[str]:
    waking = Waking(store, Words(), settings, budget)
    waking.refresh("default")
    return waking.recalled("default", [{"role": "user", "content": question}])


def test_a_correction_is_in_mind_at_the_next_turn(store: Store) -> None:
    waking = Waking(store, Words(), NightSettings(), 100)
    ask = lambda question: waking.recalled("default", [{"role": "user", "content": question}])  # noqa: E731
    assert ask("Which tram do I take to the office?") == [], "nothing is known before the first refresh"
    waking.refresh("default")
    assert ask("Which tram do I take to the office?") == []
    store.add(TRAM)
    waking.refresh("default")
    assert ask("Which tram do I take to the office tomorrow?") == ["Your tram to the office is tram 5."]
    assert ask("How long do eggs boil?") == ask("") == []
    assert asked(store, "Which tram do I take to the office?", budget=3) == []
    assert store.lessons() == [], "the night alone decides what becomes a lesson"


def test_soon_is_later_once_however_often_and_trouble_ends_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waking, begun, go, done = Waking(store, Words(), NightSettings(), 100), threading.Event(), threading.Event(), []

    def refresh(persona: str) -> None:
        begun.set()
        assert go.wait(5)
        done.append(persona)
        if len(done) == 1:
            raise StoreError("The store is locked.", "")

    monkeypatch.setattr(waking, "refresh", refresh)
    waking.settle()
    waking.soon("ann")
    assert begun.wait(5)
    for _ in range(5):  # while the first is under way: one more after it
        waking.soon("ann")
    go.set()
    waking.settle()
    assert done == ["ann", "ann"] and "The store is locked." in caplog.text
    waking.soon("default")
    waking.settle()
    assert done == ["ann", "ann", "default"]
    waking.close()
    assert waking._thread is not None and not waking._thread.is_alive()
    waking.soon("late")
    waking.settle()
    assert done == ["ann", "ann", "default"]


def test_a_process_that_leaves_waits_for_the_refresh_under_way(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    waking, begun, ended = Waking(store, Words(), NightSettings(), 100), threading.Event(), []

    def refresh(persona: str) -> None:
        begun.set()
        time.sleep(0.2)
        ended.append(persona)

    monkeypatch.setattr(waking, "refresh", refresh)
    waking.close()  # nothing was asked for
    waking = Waking(store, Words(), NightSettings(), 100)
    monkeypatch.setattr(waking, "refresh", refresh)
    waking.soon("ann")
    assert begun.wait(5)
    waking.soon("ann")
    waking.close()
    assert ended == ["ann"]


def lesson(store: Store) -> Lesson:
    (found,) = waiting(store, "default", NightSettings())
    return found


def test_what_is_in_the_weights_leaves_and_an_undone_night_brings_it_back(store: Store) -> None:
    store.add(TRAM)
    store.save_lesson(lesson(store))
    states = {"proposed": 1, "approved": 1, "learned": 0, "undone": 1, "unlearned": 1, "refused": 0}
    for status, known in states.items():
        store.set_status(store.lessons()[0].id, status, night=1)  # type: ignore[arg-type]
        assert len(asked(store, "Which tram do I take to the office?")) == known, status


def test_for_a_model_that_never_sleeps_what_nights_have_learned_stays_in_mind(store: Store) -> None:
    store.add(TRAM)
    store.save_lesson(lesson(store))
    store.set_status(store.lessons()[0].id, "learned", night=1)
    assert asked(store, "Which tram do I take to the office?") == []
    waking = Waking(store, Words(), NightSettings(), 100, learned=True)
    waking.refresh("default")
    ask = lambda: waking.recalled("default", [{"role": "user", "content": "Which tram do I take to the office?"}])  # noqa: E731
    assert ask() == ["Your tram to the office is tram 5."]
    store.add(corrected("e2", "Which tram do I take to the office?", "Your tram to the office is tram 9.", day=2))
    waking.refresh("default")
    assert ask() == ["Your tram to the office is tram 9."]


def test_what_another_process_erased_is_not_in_mind(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.add(TRAM)
    store.add(corrected("e2", "Which tram do I take to the gym?", "Your tram to the gym is tram 9.", day=2))
    waking = Waking(store, Words(), NightSettings(), 100)
    waking.refresh("default")
    ask = lambda: waking.recalled("default", [{"role": "user", "content": "Which tram do I take?"}])  # noqa: E731
    assert len(ask()) == 2
    store.erase("e1")
    assert ask() == ["Your tram to the gym is tram 9."]
    waking.settle()
    assert len(waking._known["default"].notes) == 1, "noticed, so it is forgotten"
    store.close()
    (Path(store._database.name)).write_text("no database")
    assert ask() == [] and "is damaged" in caplog.text, "a turn goes on without what may be gone"


def test_of_two_answers_to_one_question_the_newest_is_in_mind(store: Store) -> None:
    store.add(TRAM)
    store.save_lesson(lesson(store))
    store.add(corrected("e2", "Which tram do I take to the office?", "Your tram to the office is tram 9.", day=2))
    assert asked(store, "Which tram do I take to the office?") == ["Your tram to the office is tram 9."]


def test_an_answer_that_is_said_once_more_is_the_newest_again(store: Store) -> None:
    """Whether a night took what was said first, between, or both."""
    question, first = "Which tram do I take to the office?", "Your tram to the office is tram 5."
    store.add(TRAM)
    held = lesson(store)
    store.save_lesson(held)
    store.add(corrected("e2", question, "Your tram to the office is tram 9.", day=2))
    other = lesson(store)
    store.save_lesson(other)
    assert other.id != held.id and asked(store, question) == ["Your tram to the office is tram 9."]
    store.add(corrected("e3", question, first, day=3))
    assert asked(store, question) == [first]
    store.set_status(held.id, "learned", night=1)
    store.set_status(other.id, "learned", night=2)
    assert asked(store, question) == [first], "the weights say tram 9 by now"
    store.save_lesson(from_note("The tram to my office is tram 4.", "default"))
    store.save_lesson(dataclasses.replace(held, id="taught", answer="Tram 4.", note="Tram 4.", experiences=()))
    assert asked(store, question)[0] == "Tram 4.", "taught today"


def test_what_a_conversation_began_with_is_not_said_once_more_by_its_next_turn(store: Store) -> None:
    rule = 'When I say "Ahoy", begin with "{}"'
    for at, phrase in enumerate(("Aye aye!", "Moin!"), 1):
        said = ({"role": "user", "content": rule.format(phrase)}, {"role": "assistant", "content": "I will."})
        store.add(corrected(f"e{at}", "", "", day=at, messages=said, outcome=Outcome()))
    more = ({"role": "user", "content": "What is the capital of France?"}, {"role": "assistant", "content": "Paris."})
    first = store.experience("e1")
    store.add(dataclasses.replace(first, id="e3", time="2026-03-03T09:00:00Z", messages=(*first.messages, *more)))
    (note,) = asked(store, "Ahoy! How are you?")
    assert "Moin!" in note


def test_a_phrase_whose_opening_turn_is_gone_is_as_old_as_what_is_left_of_it(store: Store) -> None:
    rule = 'When I say "Ahoy", begin with "{}"'
    more = ({"role": "user", "content": "What is the capital of France?"}, {"role": "assistant", "content": "Paris."})
    for at, phrase in enumerate(("Aye aye!", "Moin!"), 1):
        said = ({"role": "user", "content": rule.format(phrase)}, {"role": "assistant", "content": "I will."})
        store.add(corrected(f"e{at}", "", "", day=at, messages=(*said, *more * (at - 1)), outcome=Outcome()))
    (note,) = asked(store, "Ahoy! How are you?")
    assert "Moin!" in note


def test_what_was_taught_and_taught_again_is_the_newest(store: Store) -> None:
    for name in ("Biscuit", "Rex", "Biscuit"):
        store.save_lesson(from_note(f"My dog is called {name}.", "default"))
        time.sleep(0.01)
    assert asked(store, "What is my dog called?") == ["Your dog is called Biscuit."]


def test_of_two_phrases_for_one_cue_the_newest_is_in_mind(store: Store) -> None:
    for at, phrase in enumerate(("Aye aye!", "Moin!"), 1):
        text = f'When I say "Ahoy", begin with "{phrase}"'
        said = ({"role": "user", "content": text}, {"role": "assistant", "content": "I will."})
        store.add(corrected(f"e{at}", "", "", day=at, messages=said, outcome=Outcome()))
    (note,) = asked(store, "Ahoy! How are you?")
    assert "Moin!" in note


def test_every_persona_is_brought_to_mind_when_it_is_first_asked(store: Store) -> None:
    store.add(dataclasses.replace(TRAM, persona="ann"))
    waking = Waking(store, Words(), NightSettings(), 100)
    chat = [{"role": "user", "content": "Which tram do I take to the office?"}]
    assert waking.recalled("ann", chat) == [], "nobody waits for it"
    waking.settle()
    assert waking.recalled("ann", chat) == ["Your tram to the office is tram 5."]
    waking.close()


def test_what_another_process_refused_is_not_in_mind(store: Store) -> None:
    store.add(TRAM)
    store.save_lesson(lesson(store))
    waking = Waking(store, Words(), NightSettings(), 100)
    waking.refresh("default")
    ask = lambda: waking.recalled("default", [{"role": "user", "content": "Which tram do I take to the office?"}])  # noqa: E731
    assert ask()
    store.set_status(lesson(store).id, "refused")
    assert ask() == []


def test_a_lesson_that_was_edited_since_it_was_linked_is_in_mind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may edit it between the linking and the reading."""
    store.save_lesson(from_note("My dog is called Biscuit.", "default"))
    (dog,) = store.lessons("default")
    load = store.graph.load

    def edited(persona: str) -> Any:
        store.edit_lesson(dog.id, note="Your dog is called Rex.", answer="Your dog is called Rex.")
        return load(persona)

    monkeypatch.setattr(store.graph, "load", edited)
    assert asked(store, "What is my dog called?") == ["Your dog is called Rex."]


@pytest.mark.parametrize("fields", [{"authority": "assistant", "source": "assistant"}, {"authority": "unknown"}])
def test_what_may_not_teach_is_not_in_mind_either(store: Store, fields: dict[str, Any]) -> None:
    store.add(dataclasses.replace(TRAM, **fields))
    assert asked(store, "Which tram do I take to the office?") == []


def test_where_approval_is_asked_for_only_what_is_approved_is_in_mind(store: Store) -> None:
    settings = NightSettings(require_approval=True)
    store.add(TRAM)
    assert asked(store, "Which tram do I take to the office?", settings=settings) == []
    store.save_lesson(lesson(store))
    assert asked(store, "Which tram do I take to the office?", settings=settings) == []
    store.set_status(store.lessons()[0].id, "approved")
    assert asked(store, "Which tram do I take to the office?", settings=settings) != []


def test_what_is_not_known_is_recalled_where_it_is_named(store: Store) -> None:
    said = ({"role": "user", "content": "What is the capital of Kelduria?"}, {"role": "assistant", "content": "Kel."},
            {"role": "user", "content": "I made that up, there is no country called Kelduria."})  # fmt: skip
    store.add(dataclasses.replace(TRAM, id="e3", messages=said, outcome=Outcome()))
    assert lesson(store).kind == "unknown"
    assert len(asked(store, "Is Kelduria far?")) == 1
    assert asked(store, "What is the capital of France?") == []


def test_notes_go_into_the_system_prompt() -> None:
    user = {"role": "user", "content": "Hi"}
    assert with_notes([user], []) == [user]
    assert with_notes([user], ["A.", "B."]) == [
        {"role": "system", "content": "You are a helpful assistant. Keep in mind: A. B."}, user,
    ]  # fmt: skip
    own = {"role": "system", "content": "Be brief."}
    assert with_notes([own, user], ["A."]) == [{"role": "system", "content": "Be brief.\n\nKeep in mind: A."}, user]
    assert own["content"] == "Be brief."


def test_the_tokens_that_lessons_take_are_counted_over_real_turns(store: Store) -> None:
    store.add(TRAM)
    store.add(corrected("e2", "How long do eggs boil for me?", "Seven minutes.", day=2))
    learned = [one for one in waiting(store, "default", NightSettings()) if "tram" in one.note]
    tokens, turns = prompt_tokens(store, Words(), "default", learned, 100)
    assert turns == 2 and tokens == len("Your tram to the office is tram 5.".split()) / 2
    assert prompt_tokens(store, Words(), "default", learned, 3) == (0.0, 2)
    assert prompt_tokens(store, Words(), "default", [], 100) == (0.0, 2)
