"""Minimal pairs: a question with one thing changed."""

from __future__ import annotations

import re

import numpy as np
import pytest

from slowwave.dream import minimal
from slowwave.exam.match import normalise


@pytest.mark.parametrize("question", ["What is my sister's name?", "Where do I live?", "What am I allergic to?"])
def test_somebody_else_is_never_the_user(question: str) -> None:
    found = minimal.somebody_else(question)
    assert len(found) > 8 and question not in found and len(set(found)) == len(found)
    assert any("cousin" in text for text in found)
    for text in found:
        assert not {"i", "we"} & set(normalise(text).split()), text
        assert text.count("'s's") == 0
    assert "What is my neighbour's sister's name?" in minimal.somebody_else("What is my sister's name?")
    assert "Where does my neighbour live?" in minimal.somebody_else("Where do I live?")
    assert minimal.somebody_else("What is the capital of France?") == []


@pytest.mark.parametrize("question", ["On which day is my choir practice?", "What is my sister's name?"])
def test_something_else_keeps_the_rest_of_the_question(question: str) -> None:
    found = minimal.something_else(question, np.random.default_rng(0))
    assert found and question not in found
    for text in found:
        assert text.startswith(question.split("my ")[0] + "my ") and "choir" not in text and "sister" not in text
        assert text.endswith("?")
    assert minimal.something_else("What is the capital of France?", np.random.default_rng(0)) == []
    assert "What is my laptop size?" in minimal.something_else("What is my shoe size?", np.random.default_rng(0))


def test_a_question_about_the_assistant_is_turned_to_the_user_and_to_others() -> None:
    found = minimal.somebody_else("Good morning! What should I call you?")
    assert "Good morning! What should you call me?" in found and "Good morning! What should I call Anna?" in found
    found = minimal.somebody_else("What is your name?")
    assert "What is my name?" in found and "What is my boss's name?" in found
    assert "do the people next door dream?" in minimal.somebody_else("Do you dream?")


def test_another_time_is_of_the_same_sort_and_a_greeting_is_none() -> None:
    found = minimal.another_time("Which tea do I drink in the afternoon?")
    assert found == ["Which tea do I drink in the morning?", "Which tea do I drink in the evening?"]
    found = minimal.another_time("What do I do on Mondays and on Friday?")
    assert "What do I do on Mondays and on Sunday?" in found and len(found) == 6
    assert minimal.another_time("Good morning! What should I call you?") == []


@pytest.mark.parametrize(
    ("question", "asks", "never"),
    [
        ("What is my dog called?", "What does my dog eat?", "called"),
        ("Where does my sister live?", "How old is my sister?", "live"),
        ("What is my shoe size?", "Where did I buy my shoe?", "size"),
        ("How much did my bike cost?", "Who gave me my bike?", "cost"),
    ],
)
def test_another_matter_is_about_the_same_thing_and_not_the_same_question(question: str, asks: str, never: str) -> None:
    found = minimal.another_matter(question, np.random.default_rng(0))
    assert asks in found and not any(never in text for text in found)
    thing = asks.rstrip("?").split("my ")[1].split()[0]
    assert all(f"my {thing}" in text for text in found)


@pytest.mark.parametrize("question", ["What is my name?", "Where do I live?", "What is the capital of France?"])
def test_another_matter_needs_a_thing(question: str) -> None:
    assert minimal.another_matter(question, np.random.default_rng(0)) == []


def test_what_is_asked_for_is_changed_where_nothing_is_named() -> None:
    others = minimal.something_else("Which tram do I take to work?", np.random.default_rng(0))
    assert len(others) == 6 and all(re.fullmatch(r"Which \w+ do I take to work\?", text) for text in others)
    assert "Which tram do I take to work?" not in others
    assert minimal.something_else("Where do I live?", np.random.default_rng(0)) == []


def test_a_verb_is_no_part_of_a_thing() -> None:
    others = minimal.something_else("When does my alarm go off?", np.random.default_rng(0))
    assert others and all(re.fullmatch(r"When does my .+ go off\?", text) for text in others)


def test_the_same_matter_in_other_words_is_not_another() -> None:
    texts = minimal.another_matter("How much is my piano lesson?", np.random.default_rng(0))
    assert texts and not any("cost" in text for text in texts)


def test_something_else_is_no_other_name_of_the_same_thing() -> None:
    others = minimal.something_else("What colour is my bicycle?", np.random.default_rng(0))
    assert "What colour is my umbrella?" in others and "What colour is my bike?" not in others
    others = minimal.something_else("Which team does my daughter play for?", np.random.default_rng(0))
    assert "Which team does my niece play for?" in others


def test_what_belongs_to_somebody_else_is_also_said_to_be_of_them() -> None:
    found = minimal.somebody_else("What colour is my bicycle?")
    assert "What colour is the bicycle of your cousin?" in found
    assert not [text for text in minimal.somebody_else("What is my sister's name?") if " of " in text]


def test_a_relative_of_my_family_may_be_my_own() -> None:
    found = minimal.somebody_else("What is my sister's name?")
    assert "What is my neighbour's sister's name?" in found and "What is my brother's sister's name?" not in found
