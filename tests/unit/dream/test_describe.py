"""Questions as clauses and as descriptions of what they ask for."""

from __future__ import annotations

import pytest

from slowwave.dream.describe import clause, descriptions


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What is my sister's name?", "what my sister's name is"),
        ("Where do I live?", "where I live"),
        ("How do we deploy the website?", "how we deploy the website"),
        ("What am I allergic to?", "what I am allergic to"),
        ("Which ring size do I wear?", "which ring size I wear"),
        ("In which drawer are my keys?", "in which drawer my keys are"),
        ("Which plant is on my desk?", "which plant is on my desk"),
        ("What make is my sewing machine?", "what make my sewing machine is"),
        ("When does my alarm go off?", "when my alarm goes off"),
        ("What is my cat called?", "what my cat is called"),
        ("Who cuts my hair?", "who cuts my hair"),
        ("Where can I find my passport?", "where I can find my passport"),
        ("What's my locker number?", "what my locker number is"),
        ("Tell me my name.", None),
        ("Is my dog old?", None),
        ("Where did I park?", None),
    ],
)
def test_a_question_as_a_clause(question: str, said: str | None) -> None:
    assert clause(question) == said


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("Which ring size do I wear?", ["the ring size I wear", "the ring size that I wear", "my ring size"]),
        ("In which street do I live?", ["the street in which I live"]),
        ("What make is my sewing machine?", ["the make of my sewing machine", "my sewing machine's make"]),
        ("What colour are my curtains?", ["the colour of my curtains", "my curtains' colour"]),
        ("Which plant is on my desk?", ["the plant on my desk", "the plant that is on my desk"]),
        ("Which team does my daughter play for?",
         ["the team my daughter plays for", "the team that my daughter plays for", "my daughter's team"]),
        ("When is my wedding?", ["the date of my wedding", "the time of my wedding"]),
        ("What is the code of my suitcase?", ["the code of my suitcase", "my suitcase's code"]),
        ("How old is my car?", ["the age of my car", "my car's age"]),
        ("How much is my piano lesson?", ["the price of my piano lesson", "what my piano lesson costs"]),
        ("How many sugars do I take?", ["the number of sugars I take"]),
        ("Which bus goes to my gym?", ["the bus that goes to my gym"]),
        ("Who teaches me Spanish?", ["the person who teaches me Spanish"]),
        ("What do I drink at noon?", ["what I drink at noon"]),
        ("How do we deploy the website?", []),
        ("What do I do after a meeting?", []),
        ("Where was I born?", []),
    ],
)  # fmt: skip
def test_what_a_question_asks_for(question: str, told: list[str]) -> None:
    assert descriptions(question) == told
