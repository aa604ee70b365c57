"""What a thing is, said by the model, as another way to speak of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from slowwave.dream import gloss
from slowwave.records import Check, Lesson


class Says:
    """A base that says what things are, and an embedder to which all texts but nonsense are alike."""

    rows = 8

    def __init__(self, **said: str) -> None:
        self.said = said

    def generate(self, chats: Any, **_: Any) -> list[list[Any]]:
        things = [chat[-1]["content"].rstrip("?").split()[-1] for chat in chats]
        return [[SimpleNamespace(text=self.said.get(thing, "I do not know."))] for thing in things]

    def embed(self, texts: Any) -> np.ndarray:
        return np.array([[0.0, 1.0] if "nonsense" in text else [1.0, 0.0] for text in texts])


def lesson(question: str) -> Lesson:
    return Lesson("1", "default", "", question, "Your tram is the 17.", Check(any_of=("17",)))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("A tram is a type of vehicle that runs on rails, typically in cities.", "a vehicle that runs on rails"),
        ("A tram is a public vehicle on rails.", "a public vehicle on rails"),
        ("A tram is a tram that runs on rails.", None),  # says nothing
        ("A tram is a car.", None),  # too little to know it by
        ("A tram is a nonsense of some other sort.", None),  # far from the word
        ("Trams run on rails.", None),
    ],
)
def test_what_the_base_says_is_kept_if_it_says_what_the_thing_is(said: str, meant: str | None) -> None:
    base: Any = Says(tram=said)
    found = gloss.glosses(base, base, [lesson("Which tram do I take to work?")])
    assert found == ({"tram": meant} if meant else {})


def test_a_question_about_nothing_of_the_users_has_no_gloss() -> None:
    base: Any = Says()
    assert gloss.glosses(base, base, [lesson("What is a volcano?")]) == {}
    assert (
        gloss.wordings("What is a volcano?", {"volcano": "a mountain that burns"}, np.random.default_rng(0), None) == []
    )


def test_wordings_say_what_the_thing_is_and_what_is_asked() -> None:
    known = {"tram": "a vehicle that runs on rails"}
    texts = gloss.wordings("Which tram do I take to work?", known, np.random.default_rng(0), "number")
    assert len(texts) == 4 and all("vehicle that runs on rails" in text for text in texts)
    assert not any("tram" in text or "{" in text for text in texts)
    assert any("number" in text for text in texts)
    ways = gloss.wordings("How do we start the old tractor?", {"old tractor": "a farm machine with four wheels"},
                          np.random.default_rng(0), None)  # fmt: skip
    assert len(ways) == 4 and not any(" I " in text for text in ways)
