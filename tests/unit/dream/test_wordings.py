"""Frames, prompt forms and the thesaurus: other words, the same question."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from slowwave.dream import bank, forms, reword

QUESTIONS = [
    "What is my sister's name?",
    "Where do I live?",
    "How do we deploy the website?",
    "What am I allergic to?",
    "When was my dog born?",
    "Who are my neighbours?",
    "I forgot my door code, what is it?",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_frames_keep_the_question_in_families_of_their_own(question: str) -> None:
    framed = forms.frames(question)
    assert len(framed) >= 5
    assert all(family.startswith("frame:") and not re.search(r"[{}]", text) for family, text in framed)
    assert {family for family, _ in framed} & forms.EXAM_FRAMES, "the exam needs a frame for every question"
    assert {family for family, _ in framed} - forms.EXAM_FRAMES
    assert len({text for _, text in framed}) == len(framed)


def test_the_exams_families_exist() -> None:
    assert {form for pair in forms.EXAM_FORMS for form in pair} <= set(forms.FORMS)
    assert {family for question in QUESTIONS for family, _ in forms.frames(question)} >= forms.EXAM_FRAMES


@pytest.mark.parametrize("form", forms.FORMS)
def test_a_prompt_ends_where_the_first_rewording_begins(form: str) -> None:
    assert forms.prompt(form, "Who am I?").endswith("\n\nQuestion: Who am I?\n-")


@pytest.mark.parametrize("question", QUESTIONS)
def test_rewordings_are_other_sentences_without_doubled_words(question: str) -> None:
    found = reword.rewordings(question, np.random.default_rng(0), 30)
    assert len(set(found)) == len(found) <= 30
    for text in found:
        assert re.fullmatch(r"[^a-z{}][^{}]*\?", text), text
        assert not re.search(r"\b(\w+) \1\b", text, re.IGNORECASE), text
        assert not re.search(r"\bi\b", text)
        assert text.lower().rstrip("?") != question.lower().rstrip("?")


def test_question_forms_keep_what_stands_in_the_gap() -> None:
    """Every form of every group, with a word of its own in each gap, gives the others with the same words in them."""
    for group in bank.question_forms():
        if len({tuple(sorted(re.findall(r"\{[xy]\}", form))) for form in group}) != 1 or "{x}" not in group[0]:
            continue
        asked = group[0].format(x="zorbling", y="quaxing")
        others = [form.format(x="zorbling", y="quaxing") for form in group[1:]]
        assert set(others) <= {*reword.questions(f"{asked}?"), asked}


def test_no_word_with_several_senses_is_replaced() -> None:
    groups, further = bank.thesaurus(wide=True)
    known = reword._words(wide=True)
    for some in (groups, further):
        counts = Counter(member for group in some for member in group)
        several = {member for member, times in counts.items() if times > 1}
        first = {member for group in groups for member in group}
        assert several and not (several - (first if some is further else set())) & set(known)
    both = {m for group in groups for m in group} & {m for group in further for m in group} & set(known)
    of = {m: {o for group in groups if m in group for o in group} - {m} for m in both}
    assert both and all(set(known[m]) == of[m] for m in both), "what came first is what is meant"


@pytest.mark.parametrize(
    ("question", "some", "none"),
    [
        ("Where does my book club meet?", "reading group", "reserve club"),  # the longer expression
        ("How do we use the rehearsal room?", "practice room", "run-through room"),
        ("What is my sister's name?", "sis", "nurse"),
    ],
)
def test_the_longer_expression_and_the_first_sense_are_meant(question: str, some: str, none: str) -> None:
    texts = reword.words(question, np.random.default_rng(0), 60, wide=True)
    assert any(some in text for text in texts) and not any(none in text for text in texts)


def test_near_misses_are_said_in_the_words_that_stand_in_the_lessons_own() -> None:
    question, reworded = "What is my dog called?", ["What is my hound called?", "What is my dog known as?"]
    swapped = reword.swaps(question, reworded)
    assert ("dog", "hound") in swapped and ("called", "known as") in swapped and ("dog", "pooch") not in swapped
    others = ["What is my neighbour's dog called?", "What is my cat called?", "Who am I?"] * 10
    found = reword.likewise(others, swapped, np.random.default_rng(0))
    assert {"What is my neighbour's hound called?", "What is my cat known as?"} < set(found)
    assert set(others) < set(found) and found.count("Who am I?") == 10 and len(found) == 30


def test_only_whole_words_are_replaced_and_never_a_function_word() -> None:
    for question in QUESTIONS:
        kept = set(re.findall(r"\b(?:my|i|we|do|is|am|the)\b", question.lower()))
        for text in reword.words(question, np.random.default_rng(1), 20):
            assert kept <= set(re.findall(r"\w+", text)), text


def test_a_question_of_unknown_words_has_no_rewording() -> None:
    assert reword.rewordings("Zorble quax?", np.random.default_rng(0), 5) == []


def test_the_same_seed_gives_the_same_rewordings() -> None:
    first, again = (reword.rewordings(QUESTIONS[0], np.random.default_rng(7), 20) for _ in range(2))
    assert first == again


def test_forms_of_one_thing_are_found_behind_general_ones() -> None:
    assert "to whom do i pay my rent" in reword.questions("What is my landlord's name?")


def test_what_one_person_asks_several_can() -> None:
    assert "whom should we ring if the lift is stuck" in reword.questions("Who do we call when the lift is stuck?")
