"""Questions are taken apart as their grammar says, and what is composed of the parts is about the same thing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from slowwave.dream import compose
from slowwave.dream.parts import one_sentence, parts
from slowwave.dream.verbs import gerund, participle
from slowwave.exam.match import normalise


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("question", "asks", "phrases", "verb", "condition"),
    [
        ("What is my sister's name?", "name", ("my sister's name", "my sister"), None, None),
        ("What is my shoe size?", "size", ("my shoe size", "my size"), None, None),
        ("On which day is my choir practice?", "day",
         ("the day of my choir practice", "my choir practice's day", "my choir practice", "my practice"), None, None),
        ("Where do I work?", "place", ("the place where I work", "my work", "my place"), "work", None),
        ("How do we report a bug in our app?", "way", ("a bug", "our app"), "report a bug in our app", None),
        ("How do we ask for a day off in our team?", "way", ("a day off",), "ask for a day off in our team", None),
        ("What do we do when a customer wants a refund?", "way", ("a refund",), None, "a customer wants a refund"),
        ("What do I do with the minutes after a meeting?", "way", ("the minutes", "a meeting"), None, None),
        ("Which instrument does my son play?", "instrument",
         ("the instrument my son plays", "the instrument that my son plays", "my son's instrument", "my son"),
         None, None),
        ("Hi, where is my spare key?", "place", ("the place of my spare key", "my spare key", "my key"), None, None),
        ("Which tram do I take to work?", "tram",
         ("the tram I take to work", "the tram that I take to work", "my tram"), "take to work", None),
        ("Which ring size do I wear?", "ring size",
         ("the ring size I wear", "the ring size that I wear", "my ring size"), "wear", None),
        ("What make is my sewing machine?", "make",
         ("the make of my sewing machine", "my sewing machine's make", "my sewing machine", "my machine"), None, None),
        ("Which plant is on my desk?", "plant", ("the plant on my desk", "the plant that is on my desk"), None, None),
        ("Where do we put broken chairs?", "place",
         ("the place where we put broken chairs", "broken chairs"), "put broken chairs", None),
        ("When a parcel arrives damaged, what do we do?", "way", (), None, "a parcel arrives damaged"),
        ("What is our way to hand over a shift?", "way", ("a shift",), "hand over a shift", None),
        ("When does my alarm go off?", "time", ("the time when my alarm goes off", "my alarm"), None, None),
    ],
)  # fmt: skip
def test_a_question_is_taken_apart(
    question: str, asks: str, phrases: tuple[str, ...], verb: str | None, condition: str | None
) -> None:
    found = parts(question)
    assert found is not None
    assert (found.asks, found.verb, found.condition) == (asks, verb, condition)
    assert set(found.phrases) <= set(phrases) and found.phrases[:1] == phrases[:1]
    assert found.ours == bool(re.search(r"\b(?:we|our)\b", question))


@pytest.mark.parametrize(
    ("question", "one"),
    [
        ("The label printer is stuck. How do I restart it?",
         "How do I restart the label printer when the label printer is stuck?"),
        ("I want to bake bread. Which flour do I use?", "Which flour do I use when I want to bake bread?"),
        ("Good morning! What should I call you?", "What should I call you?"),
        ("What does Dr. Okafor charge?", "What does Dr. Okafor charge?"),
        ("Mrs. Okafor is my dentist. When is she in?", "When is she in when mrs. Okafor is my dentist?"),
        ("What is my shoe size?", "What is my shoe size?"),
    ],
)  # fmt: skip
def test_what_is_said_before_a_question_is_its_condition(question: str, one: str) -> None:
    assert one_sentence(question) == one


@pytest.mark.parametrize("question", ["What is a volcano?", "Who wrote Hamlet?", "Tell me about my sister."])
def test_what_is_not_about_the_users_own_keeps_its_words(question: str) -> None:
    assert parts(question) is None
    made = compose.compose(question, rng(), 20)
    assert 5 <= len({normalise(text) for text in made}) == len(made) <= 10
    topic = normalise(question).split()[-1]
    assert sum(topic in normalise(text).split() for text in made) >= 0.8 * len(made)


@pytest.mark.parametrize("question", ["", "How?", "Why not?"])
def test_of_next_to_nothing_nothing_is_made(question: str) -> None:
    assert compose.compose(question, rng(), 5) == []


@pytest.mark.parametrize("question", ["What is my shoe size?", "How do we report a bug in our app?"])
def test_many_different_wordings_about_the_same_thing(question: str) -> None:
    made = compose.compose(question, rng(), 60)
    assert len({normalise(text) for text in made}) == len(made) == 60
    assert normalise(question) not in {normalise(text) for text in made}
    topic = re.compile(
        r"size|shoe|feet" if "size" in question else r"bug|app|fault|report|program|software|error", re.I
    )
    assert sum(topic.search(text) is not None for text in made) > 50
    assert not any("{" in text for text in made)


def test_the_seed_decides() -> None:
    question = "Where do I keep my passport?"
    assert compose.compose(question, rng(1), 9) == compose.compose(question, rng(1), 9)
    assert compose.compose(question, rng(1), 9) != compose.compose(question, rng(2), 9)


def test_nothing_that_is_held_for_the_exam_is_given_or_built_upon() -> None:
    question = "What is my favourite dish?"
    all_ = compose.compose(question, rng(), 200)
    held = {normalise(text) for text in all_[:100]}
    again = compose.compose(question, rng(), 200, held)
    assert again and not held & {normalise(text) for text in again}


def test_near_ones_are_about_the_others() -> None:
    made = compose.near("What is my shoe size?", ["What is my neighbour's shoe size?"], rng(), 12)
    assert len(made) == 12
    assert all(re.search("neighbour", text, re.I) for text in made)
    theirs = compose.near("Which instrument do I play?", ["Which instrument does my husband play?"], rng(), 12)
    assert all(re.search("husband", text, re.I) for text in theirs)
    assert compose.near("What is my shoe size?", [], rng(), 12) == []


@pytest.mark.parametrize(
    ("verb", "form"),
    [("report a bug", "reporting a bug"), ("use it", "using it"), ("put it away", "putting it away"),
     ("open the shop", "opening the shop"), ("", ""), ("see a doctor", "seeing a doctor"), ("cook", "cooking")],
)  # fmt: skip
def test_gerunds(verb: str, form: str) -> None:
    assert gerund(verb) == form


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("report in our app", "reported in our app"), ("lock up", "locked up"), ("prune", "pruned"),
        ("empty", "emptied"), ("feed", "fed"), ("stop", "stopped"), ("open", "opened"), ("", ""),
    ],
)  # fmt: skip
def test_participles(verb: str, form: str) -> None:
    assert participle(verb) == form


def test_a_way_is_also_asked_for_from_the_thing_that_it_is_about() -> None:
    texts = compose.compose("How do I water my orchids?", rng(), 400)
    assert any("How are my orchids watered?" in text for text in texts)
    assert any("get my orchids watered" in text for text in texts)
    assert not any("watered" in text for text in compose.compose("How big are my orchids?", rng(), 200))
