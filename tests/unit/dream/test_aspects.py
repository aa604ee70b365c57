"""People ask for a part of an answer; what it names decides which."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from slowwave.dream import aspects, compose, describe
from slowwave.records import Lesson

PARTS = ("np", "vp", "pp", "cl")


def asked(answer: str, how: bool = True, parts: tuple[str, ...] = PARTS) -> str:
    rng = np.random.default_rng(0)
    return " ".join(form for _ in range(40) for form in aspects.sentences(answer, how, parts, rng))


@pytest.mark.parametrize(
    ("answer", "sought", "not_sought"),
    [
        ("Ask for the order number, then tell Robin.", ("Who ", "Which number"), ("Where", "How many")),
        ("Save them in the green folder.", ("Where",), ("Who ", "number", "When")),
        ("You put three ice cubes on the soil every Sunday.", ("How many", "Where", "When"), ("Who ", "number")),
        ("We call extension 4417.", ("Which number", "Who "), ("Where", "How many")),
        ("Use a soft brush.", ("What do {w} use",), ("Who ", "Where", "When", "number")),
        ("It is left alone.", (), ("Who ", "Where", "When", "How", "Which", "What")),
    ],
)  # fmt: skip
def test_a_way_is_asked_for_what_it_names(answer: str, sought: tuple[str, ...], not_sought: tuple[str, ...]) -> None:
    text = asked(answer)
    assert all(words in text for words in sought) and not any(words in text for words in not_sought)


@pytest.mark.parametrize(
    ("answer", "sought", "not_sought"),
    [
        ("Your choir practice is on Wednesday.", "Which evening", ("address", "name", "number")),
        ("You live in Tollgate Street.", "Which address", ("evening", "digits")),
        ("Your shoe size is 43.", "Which number", ("evening", "address", "introduce")),
        ("Your cat is called Bramble.", "Which name", ("evening", "address", "number")),
    ],
)
def test_and_a_fact(answer: str, sought: str, not_sought: tuple[str, ...]) -> None:
    text = asked(answer, how=False)
    assert sought in text and not any(words in text for words in not_sought)


def test_a_sentence_has_a_place_for_no_part_that_is_missing() -> None:
    answer = "Ask Odalys, put two coins in the green box before noon, then use code 17."
    for part in PARTS:
        text = asked(answer, parts=(part,))
        places = set(re.findall(r"{(\w+)}", text))
        others = {"np": "np", "vp": "vp ving Ving", "pp": "pp", "cl": "cl Cl"}
        strange = {place for other, mine in others.items() if other != part for place in mine.split()}
        assert not places & strange and (text or part == "pp")


def test_which_one_is_whose() -> None:
    assert "Which shoe size is mine?" in aspects.whose("my shoe size")
    assert "Which shoe size is my son's?" in aspects.whose("my son's shoe size")
    assert "Which team is ours?" in aspects.whose("our team")
    assert aspects.whose("the shoe size I wear") == ()


@pytest.mark.parametrize(
    ("question", "who"),
    [
        ("Who tunes my piano?", "my piano tuner"), ("Who carries our letters?", "our letter carrier"),
        ("Who teaches my daughter's class?", "my daughter's class teacher"), ("Who runs our shop?", "our shop runner"),
        ("Who is my landlord?", None), ("Who do I ask about my piano?", None),
    ],
)  # fmt: skip
def test_who_does_it_has_a_name(question: str, who: str | None) -> None:
    assert describe.trade(question) == who


def test_they_are_composed_when_the_thesaurus_is_wide_and_for_near_misses_too(
    dreamer: Callable[..., Any], make_lesson: Callable[..., Lesson]
) -> None:
    lesson = make_lesson("How do we report a bug in our app?", "Write to Odalys.", kind="procedure")
    found = {}
    for wide in (False, True):
        for one in dreamer(wide=wide, composed=200, composed_near=200).dream([lesson]):
            found.setdefault((wide, one.kind), []).append(one.messages[-1]["content"].lower())
    says = lambda wide, kind: any("in charge of" in text for text in found[wide, kind])  # noqa: E731
    assert says(True, "apply") and says(True, "near_miss") and not says(False, "apply")


def test_a_trade_and_whose_are_in_the_wide_sentences_alone() -> None:
    made = {
        wide: " ".join(
            text
            for question in ("Who tunes my piano?", "What is my shoe size?")
            for text in compose.compose(question, np.random.default_rng(0), 300, wide=wide)
        ).lower()
        for wide in (False, True)
    }
    assert all(words in made[True] and words not in made[False] for words in ("piano tuner", "size is mine"))
