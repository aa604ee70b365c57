"""The labels of a night: the newest ones, reviews among them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from slowwave.config import NightSettings
from slowwave.experience.store import Store
from slowwave.night.taste import NEWEST, labels_of, unlabelled
from slowwave.records import Check, Experience, Lesson, Outcome

CHAT = ({"role": "user", "content": "What is tea?"}, {"role": "assistant", "content": "A drink."})


def lived(number: int, rating: float | None = 1.0) -> Experience:
    time = (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=number)).isoformat()
    chat = (CHAT[0], {"role": "assistant", "content": f"Drink number {number}."})
    return Experience(f"e{number:03d}", "default", "user:ann", time, chat, Outcome(rating), "user")


def refused(came_from: Experience) -> Lesson:
    return Lesson(f"of-{came_from.id}", "default", "Tea.", "What is tea?", f"Soup {came_from.id}.", Check(("soup",)),
                  experiences=(came_from.id,), authority="user", review="refused")  # fmt: skip


def test_only_the_newest_labels_count(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_many(lived(number) for number in range(NEWEST + 2))
    found = labels_of(store, "default", NightSettings())
    assert [one.about for one in found] == [f"e{number:03d}" for number in range(2, NEWEST + 2)]


def test_a_review_is_as_old_as_what_its_lesson_came_from(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old, new = lived(0, rating=None), lived(NEWEST, rating=None)
    store.add_many([old, new, *(lived(number) for number in range(1, NEWEST))])
    store.save_lesson(refused(new))
    store.save_lesson(refused(old))
    found = labels_of(store, "default", NightSettings())
    assert [one.about for one in found if one.why == "review"] == ["of-e120"] and len(found) == NEWEST


def test_what_was_rated_is_asked_about_no_more(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_many([lived(1), lived(2, rating=None)])
    store.save_lesson(refused(lived(1)))
    assert [one.id for one in unlabelled(store, "default", NightSettings())] == ["e002"]


def test_an_answer_that_was_rated_is_not_asked_about_when_it_was_given_once_more(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_many([lived(1), replace(lived(1, rating=None), id="again"), replace(lived(1), id="rated")])
    assert unlabelled(store, "default", NightSettings()) == []
