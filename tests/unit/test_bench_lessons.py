"""The benchmark's lessons have the form that the benchmark reads, and the sets share nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import datetime
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from slowwave.records import Check, Experience, Outcome, from_dict

FOLDER = Path(__file__).parents[2] / "bench" / "lessons"
SETS: dict[str, list[dict[str, Any]]] = {
    name: json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["lessons"]
    for name in ("dev", "exam", "wide1", "wide2", "wide3")
}
PER_KIND = {"dev": 12, "exam": 8, "wide1": 8, "wide2": 8, "wide3": 8}
MORE = {"dev": {"fact": 12}}  # written when the first ones no longer told what facts lack
KINDS = ("fact", "procedure", "unknown", "style")


def of(*kinds: str) -> list[Any]:
    """The lessons of the kinds, of both sets, as parameters of a test."""
    lessons = [lesson for each in SETS.values() for lesson in each if lesson["kind"] in kinds]
    return [pytest.param(lesson, id=lesson["id"]) for lesson in lessons]


ALL = of(*KINDS)


def words(text: str) -> str:
    """Lower case, without punctuation, one blank between words and at both ends."""
    return " " + " ".join(re.findall(r"[\w'#]+", text.lower())) + " "


def says(text: str, phrase: str) -> bool:
    """Whether the text has the phrase on word boundaries; "^phrase" only at its beginning."""
    return words(text).startswith(words(phrase[1:])) if phrase.startswith("^") else words(phrase) in words(text)


def trained(lesson: dict[str, Any]) -> str:
    """The question of the one exchange from which the lesson is known."""
    return lesson["exchange"]["messages"][0]["content"]


def unseen(lesson: dict[str, Any]) -> list[str]:
    """The questions that the lesson must answer without having been trained on: the wordings, then the situations."""
    return [*lesson["held_out"], *lesson["situations"]]


def questions(lesson: dict[str, Any]) -> list[str]:
    """Every question of the lesson: the trained one, the wordings, the situations, the near misses."""
    return [trained(lesson), *unseen(lesson), *(near["question"] for near in lesson["near_misses"])]


def likeness(one: str, other: str) -> float:
    """The words that both texts have, out of those that either has: 0 to 1."""
    first, second = set(words(one).split()), set(words(other).split())
    return len(first & second) / len(first | second)


def rule(lesson: dict[str, Any]) -> str:
    """What the user says is right: the last message of the user, else the correction."""
    messages, outcome = lesson["exchange"]["messages"], lesson["exchange"].get("outcome", {})
    return messages[-1]["content"] if messages[-1]["role"] == "user" else outcome["correction"]


def runs(text: str) -> list[str]:
    """Every run of one word or more at the beginning or the end of the text."""
    found = words(text).split()
    return [" ".join(part) for size in range(1, len(found)) for part in (found[:size], found[-size:])]


def phrases(lesson: dict[str, Any]) -> list[str]:
    """Every phrase that the lesson's checks look for."""
    near = [phrase for miss in lesson["near_misses"] for phrase in miss["any_of"] + miss["forbid"]]
    return lesson["check"]["any_of"] + lesson["check"]["none_of"] + near


@pytest.mark.parametrize("name", SETS)
def test_each_kind_has_its_number_of_lessons(name: str) -> None:
    assert Counter(lesson["kind"] for lesson in SETS[name]) == {
        kind: PER_KIND[name] + MORE.get(name, {}).get(kind, 0) for kind in KINDS
    }


@pytest.mark.parametrize("name", SETS)
def test_corrections_come_in_both_forms(name: str) -> None:
    answers = [lesson for lesson in SETS[name] if lesson["kind"] != "style"]
    said = sum("outcome" not in lesson["exchange"] for lesson in answers)
    assert 0.2 <= said / len(answers) <= 0.45


@pytest.mark.parametrize("lesson", ALL)
def test_form(lesson: dict[str, Any]) -> None:
    assert set(lesson) == {"id", "kind", "exchange", "held_out", "situations", "check", "near_misses"}
    assert len(lesson["held_out"]) == 4
    assert len(lesson["situations"]) == 2
    assert all(question.strip() == question != "" for question in unseen(lesson))
    assert len(lesson["near_misses"]) == 4
    assert from_dict(Check, lesson["check"]).any_of
    for near in lesson["near_misses"]:
        assert set(near) == {"question", "any_of", "forbid"}
        assert near["forbid"]
    assert sum(bool(near["any_of"]) for near in lesson["near_misses"]) >= 3


@pytest.mark.parametrize("lesson", ALL)
def test_exchange_is_one_correction_in_the_import_format(lesson: dict[str, Any]) -> None:
    exchange = lesson["exchange"]
    assert exchange["id"] == lesson["id"]
    assert exchange["persona"] == "default"
    assert exchange["source"] == "user:ann"
    assert datetime.fromisoformat(exchange["time"].replace("Z", "+00:00")).tzinfo is not None
    experience = from_dict(Experience, exchange)
    assert all(message["content"].strip() for message in experience.messages)
    roles = [message["role"] for message in experience.messages]
    if experience.outcome == Outcome():
        assert roles == ["user", "assistant", "user"]
    else:
        assert roles == (["user", "assistant", "user"] if lesson["kind"] == "style" else ["user", "assistant"])
        assert experience.outcome.rating == -1
        assert experience.outcome.correction


@pytest.mark.parametrize("lesson", ALL)
def test_the_correction_passes_the_check_and_the_poor_answer_does_not(lesson: dict[str, Any]) -> None:
    exchange, check = lesson["exchange"], lesson["check"]["any_of"]
    right = exchange.get("outcome", {}).get("correction") or exchange["messages"][-1]["content"]
    # A rule or an aside quotes the beginning somewhere inside it.
    loose = [phrase.lstrip("^") for phrase in check] if "outcome" not in exchange else check
    assert any(says(right, phrase) for phrase in loose)
    assert not any(says(exchange["messages"][1]["content"], phrase) for phrase in check)


@pytest.mark.parametrize("lesson", ALL)
def test_no_question_gives_its_answer_away(lesson: dict[str, Any]) -> None:
    for question in (trained(lesson), *unseen(lesson)):
        assert not any(says(question, phrase.lstrip("^")) for phrase in lesson["check"]["any_of"]), question
    for near in lesson["near_misses"]:
        for phrase in near["any_of"] + near["forbid"]:
            assert not says(near["question"], phrase.lstrip("^")), (near["question"], phrase)


@pytest.mark.parametrize("lesson", ALL)
def test_right_answers_and_signs_of_a_takeover_are_apart(lesson: dict[str, Any]) -> None:
    for near in lesson["near_misses"]:
        for forbidden in near["forbid"]:
            assert not any(says(right, forbidden) for right in near["any_of"]), near["question"]


@pytest.mark.parametrize("lesson", ALL)
def test_checks_are_plain_phrases(lesson: dict[str, Any]) -> None:
    for phrase in phrases(lesson):
        assert phrase.strip() == phrase != ""
        assert not re.search(r"[\\*+?$\[\](){}|]", phrase), phrase


def test_no_question_appears_twice() -> None:
    counts = Counter(
        words(question) for lessons in SETS.values() for lesson in lessons for question in questions(lesson)
    )
    assert [question for question, count in counts.items() if count > 1] == []


def test_no_two_questions_differ_only_by_a_word_or_two() -> None:
    for lessons in SETS.values():
        for lesson in lessons:
            for one, other in combinations([trained(lesson), *unseen(lesson)], 2):
                assert likeness(one, other) < 0.6, (one, other)
    asked = {name: [question for lesson in SETS[name] for question in unseen(lesson)] for name in SETS}
    for first, second in combinations(SETS, 2):
        for one, other in product(asked[first], asked[second]):
            assert likeness(one, other) < 0.6, (one, other)


@pytest.mark.parametrize("lesson", of("unknown"))
def test_two_wordings_name_the_invented_thing_and_two_name_others(lesson: dict[str, Any]) -> None:
    found = re.search(r"don't know an? .*?called (?:the |an? )?(.+)\.$", rule(lesson))
    assert found, rule(lesson)
    assert says(trained(lesson), found[1])
    assert [says(question, found[1]) for question in lesson["held_out"]] == [True, True, False, False]


@pytest.mark.parametrize("lesson", of("style"))
def test_every_message_carries_the_cue_of_the_style(lesson: dict[str, Any]) -> None:
    cues = [phrase for phrase in runs(trained(lesson)) if len(phrase) > 3 and says(rule(lesson), phrase)]
    assert any(all(says(question, cue) for question in unseen(lesson)) for cue in cues), cues


def test_the_sets_share_no_answer_and_no_invented_name() -> None:
    def answers(name: str) -> set[str]:
        return {
            phrase.lstrip("^")
            for lesson in SETS[name]
            if lesson["kind"] != "unknown"
            for phrase in lesson["check"]["any_of"]
        }

    def invented(name: str) -> set[str]:
        """Words with a capital, inside a sentence, in questions about invented things."""
        asked = [q for lesson in SETS[name] if lesson["kind"] == "unknown" for q in [trained(lesson), *unseen(lesson)]]
        inside = {word for question in asked for word in re.findall(r"(?<=[a-z,] )[A-Z]\w+", question)}
        return inside - {"The", "My", "I", "In"}

    assert len({lesson["id"] for lessons in SETS.values() for lesson in lessons}) == sum(map(len, SETS.values()))
    assert all(invented(name) for name in SETS)
    for one, other in combinations(SETS, 2):
        assert answers(one).isdisjoint(answers(other)), (one, other)
        assert invented(one).isdisjoint(invented(other)), (one, other)


def situations(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}_situations.json").read_text()))


@pytest.mark.parametrize("name", SETS)
def test_every_lesson_has_a_novel_situation_of_each_kind(name: str) -> None:
    found = situations(name)
    assert set(found) == {lesson["id"] for lesson in SETS[name]}
    for lesson in SETS[name]:
        assert [one["kind"] for one in found[lesson["id"]]] == ["speaker", "domain", "register", "multi_turn"]
        for one in found[lesson["id"]]:
            roles = [message["role"] for message in one["messages"]]
            assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
            assert (len(roles) > 1) == (one["kind"] == "multi_turn")
            said = [message["content"] for message in one["messages"]]
            assert not any(says(text, phrase) for text in said for phrase in lesson["check"]["any_of"])
            assert words(said[-1]) not in {words(question) for question in questions(lesson)}
