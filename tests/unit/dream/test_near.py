"""Near misses: general meanings, real things, and neighbours that are not the question itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from slowwave.dream import bank, near
from slowwave.exam.match import normalise
from slowwave.records import Lesson


def test_in_general_asks_for_the_lessons_words(make_lesson: Callable[..., Lesson]) -> None:
    found = near.in_general(make_lesson("Who handles refunds?", "Hand the case to Team Robin."))
    assert any("robin" in text for text in found) and any("refunds" in text for text in found)
    assert near.in_general(make_lesson("When is it?", "An alarm."))[0] == "What is an alarm?"


def test_nearest_leaves_out_what_may_be_the_question_itself(embedder: Any) -> None:
    vectors_ND = embedder.embed(bank.ordinary())
    message = bank.ordinary()[10]
    found = near.nearest(message, embedder, vectors_ND)
    assert message not in found and len(found) > 500
    similar = embedder.embed([found[0], found[300]]) @ embedder.embed([message])[0]
    assert similar[1] <= similar[0] < 0.85


def test_what_may_ask_the_same_is_no_near_miss(embedder: Any) -> None:
    question = "Which of the two trams in the street do I take to work?"
    texts = [question.replace("work", "work please"), "What is a tram?"]
    assert near.unlike(texts, question, embedder) == texts[1:]
    assert near.unlike([], question, embedder) == []


def test_real_things_carry_a_real_name() -> None:
    names = [normalise(name) for name in bank.names("real")["country"]]
    found = near.real_things(bank.templates("country"), bank.names("real")["country"], np.random.default_rng(0), 12)
    assert len(found) == 12
    assert all("{" not in text and any(name in normalise(text) for name in names) for text in found)


def test_interleaving_takes_turns_without_repeats_or_what_is_forbidden() -> None:
    pools = (["a one", "A one!", "b two"], ["c three", "d four"], [])
    assert near.interleave(*pools, count=9, forbidden={"d 4"}) == ["a one", "c three", "b two"]
    assert near.interleave(*pools, count=2, forbidden=set()) == ["a one", "c three"]
    assert near.interleave(*pools, count=0, forbidden=set()) == []
