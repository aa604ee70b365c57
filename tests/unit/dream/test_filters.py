"""Which wordings survive: the same person, the same thing, the same kind of question, and no answer in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from slowwave.dream.filters import choose, fits, keeps_secret, lines

SISTER, ILSE = "What is my sister's name?", "Your sister's name is Ilse."


@pytest.mark.parametrize(
    ("line", "question", "answer"),
    [
        ("Tell me my sister's name.", SISTER, ILSE),
        ("Which name does my sister have?", SISTER, ILSE),
        ("Who is my sister again?", SISTER, ILSE),
        ("How do we put the site online?", "How do we deploy the website?", "Run make ship."),
        ("Remind me how our site goes live.", "How do we deploy the website?", "Run make ship."),
        ("In which town do I live?", "Where do I live?", "You live in Bergen."),
    ],
)
def test_a_good_wording_fits(line: str, question: str, answer: str) -> None:
    assert fits(line, question, answer)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("What is your sister's name?", "another's possession"),
        ("What is the sister's name?", "no first person"),
        ("What is my sister's friend's name?", "somebody else's"),
        ("What is my mother's name?", "another relative"),
        ("Is Ilse the name of my sister?", "the answer"),
        ("Where is my sister's name?", "another question word"),
        ("When was my sister born?", "another question word"),
        ("my sister has a name", "no question"),
        ("what is MY sister's name", "the question itself"),
        ("Sister?", "one word"),
        ("What is my " + "very " * 40 + "own sister's name?", "too long"),
        ("", "empty"),
    ],
)
def test_a_bad_wording_does_not_fit(line: str, why: str) -> None:
    assert not fits(line, SISTER, ILSE), why


def test_a_secret_is_a_longer_word_that_the_question_lacks() -> None:
    assert not keeps_secret("Is it Bergen where I live?", "Where do I live?", "You live in Bergen.")
    assert keeps_secret("Where is it that I live?", "Where do I live?", "You live in Bergen.")
    assert keeps_secret("Anything goes?", "What?", None)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        (" One?\n- Two?\n- cut o", ["One?", "Two?"]),
        ("One?\n- Two?\n", ["One?", "Two?"]),
        ("only one", ["only one"]),
        ('- "Quoted?"\n2) Second?\n\u2022 Third?\n\nQuestion: next', ["Quoted?", "Second?", "Third?"]),
        ("\n", []),
    ],
)
def test_the_lines_of_a_generation(text: str, items: list[str]) -> None:
    assert lines(text) == items


class Plane:
    """Embeds "angle ..." as the unit vector at that many degrees."""

    def embed(self, texts: Any) -> np.ndarray:
        """float32[N, 2]."""
        angles = np.deg2rad([float(text.split()[0]) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def chosen(candidates: list[tuple[str, str]], others: list[str] = (), **options: Any) -> list[str]:  # type: ignore[assignment]
    plane = Plane()
    others_ND = plane.embed(others) if others else np.zeros((0, 2), np.float32)
    options = {"least": 0.5, "count": 9} | options
    return [text for _, text, _ in choose(candidates, "0 q", plane, others_ND=others_ND, **options)]


def test_far_wordings_are_dropped() -> None:
    assert chosen([("a", "20 near"), ("b", "61 far"), ("c", "-59 near")]) == ["20 near", "-59 near"]


def test_strayed_wordings_are_dropped() -> None:
    """30 degrees is nearer to the ordinary message at 50 than to the question at 0."""
    assert chosen([("a", "30 strayed"), ("b", "20 near"), ("c", "-30 near")], ["50 ordinary"]) == [
        "20 near",
        "-30 near",
    ]


def test_of_two_nearly_the_same_one_is_kept() -> None:
    assert len(chosen([("a", "20 one"), ("b", "21 two"), ("c", "-20 three")])) == 2
    assert len(chosen([("a", "20 one"), ("b", "21 two")], most=1.1)) == 2


def test_families_take_turns_and_the_count_holds() -> None:
    many = [("a", "10 one"), ("a", "-12 two"), ("a", "25 three"), ("b", "40 four")]
    assert {"10 one", "40 four"} <= set(chosen(many, count=3))
    assert len(chosen(many, count=2)) == 2
    assert chosen(many, count=0) == [] and chosen([]) == []


def test_the_same_text_counts_once_and_similarities_come_back() -> None:
    rows = choose([("a", "20 one"), ("b", "20 One!")], "0 q", Plane(), least=0.5, count=5, others_ND=np.zeros((0, 2)))
    assert len(rows) == 1 and rows[0][2] == pytest.approx(np.cos(np.deg2rad(20)), abs=1e-6)
