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
