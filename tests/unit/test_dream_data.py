"""The data that ships: its form, and that no exam question hides among the training anchors."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slowwave.dream import bank as dreamt
from slowwave.dream import reword

ROOT = Path(__file__).resolve().parents[2]
DREAM = ROOT / "src/slowwave/dream/data"
NIGHT = ROOT / "src/slowwave/data"
CLASSES = {
    "currency",
    "charity",
    "music",
    "team",
    "event",
    "country",
    "city",
    "element",
    "film",
    "animal",
    "company",
    "person",
    "book",
    "product",
    "language",
    "river",
    "festival",
    "medicine",
    "game",
    "food",
}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def normal(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower().replace("'", "").replace("\u2019", "")).split())


def strings(value: Any) -> Iterator[str]:
    """Every string of a JSON value, however deep."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(item)


def texts_below(folder: Path) -> set[str]:
    """Normalised strings of every JSON and JSONL file below a folder that look like messages: two words or more.

    Of a situation, what is asked: what was said before it is anybody's small talk.
    """
    found: set[str] = set()
    for path in folder.rglob("*.json*"):
        if path.stem.endswith("_situations"):
            every = json.loads(path.read_text(encoding="utf-8")).values()
            found |= {normal(one["messages"][-1]["content"]) for mine in every for one in mine}
            continue
        text = path.read_text(encoding="utf-8")
        values = (
            [json.loads(text)]
            if path.suffix == ".json"
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
        found |= {normal(one) for value in values for one in strings(value)}
    return {text for text in found if " " in text}


@pytest.fixture(scope="module")
def bank() -> list[dict[str, Any]]:
    return lines(DREAM / "ordinary.jsonl")


def test_the_bank_is_large_and_every_line_is_a_message_with_a_topic(bank: list[dict[str, Any]]) -> None:
    assert len(bank) >= 700
    for row in bank:
        assert set(row) == {"text", "topic"}
        assert row["text"].strip() == row["text"] != ""
        assert re.fullmatch(r"[a-z_]+", row["topic"])


def test_no_message_is_in_the_bank_twice(bank: list[dict[str, Any]]) -> None:
    counts = Counter(normal(row["text"]) or row["text"] for row in bank)
    assert not [text for text, times in counts.items() if times > 1]


def test_the_bank_is_broad_and_no_opening_dominates_it(bank: list[dict[str, Any]]) -> None:
    topics = Counter(row["topic"] for row in bank)
    assert len(topics) >= 30
    assert topics.most_common(1)[0][1] <= 0.12 * len(bank)
    assert topics["user_facts"] >= 60
    assert topics["assistant"] >= 30
    openings = Counter(" ".join(normal(row["text"]).split()[:4]) for row in bank)
    assert openings.most_common(1)[0][1] <= 0.05 * len(bank)
    assert sum(not row["text"].endswith("?") for row in bank) >= 0.2 * len(bank)


@pytest.mark.parametrize("folder", ["src/slowwave/exam/data", "bench/lessons"])
def test_no_exam_question_is_in_the_bank(bank: list[dict[str, Any]], folder: str) -> None:
    asked = texts_below(ROOT / folder)
    assert asked, f"{folder} holds no questions"
    shared = sum(normal(row["text"]) in asked for row in bank)
    assert shared == 0, f"{shared} messages of the bank are asked in {folder}"  # counts only: the exam stays unread


def test_no_question_of_the_first_night_is_in_the_bank(bank: list[dict[str, Any]]) -> None:
    asked = {
        normal(item["question"])
        for item in json.loads((NIGHT / "first_night_questions.json").read_text(encoding="utf-8"))
    }
    assert not asked & {normal(row["text"]) for row in bank}


@pytest.mark.parametrize(("name", "least"), [("invented", 40), ("real", 24)])
def test_names_are_enough_distinct_and_clean(name: str, least: int) -> None:
    names = json.loads((DREAM / f"{name}.json").read_text(encoding="utf-8"))
    assert set(names) == CLASSES
    for kind, values in names.items():
        assert len(values) >= (60 if (name, kind) == ("invented", "country") else least)
        assert len({normal(value) for value in values}) == len(values)
        assert all(value.strip() == value != "" for value in values)


def test_no_invented_name_is_real() -> None:
    """Nor does the bank speak of one: an anchor would then teach the base's confabulation about it."""
    invented = {
        normal(name)
        for names in json.loads((DREAM / "invented.json").read_text(encoding="utf-8")).values()
        for name in names
    }
    real = {
        normal(name)
        for names in json.loads((DREAM / "real.json").read_text(encoding="utf-8")).values()
        for name in names
    }
    assert not invented & real
    spoken = " ".join(f" {normal(row['text'])} " for row in lines(DREAM / "ordinary.jsonl"))
    assert not [name for name in invented if f" {name} " in spoken]


def test_the_first_night_is_a_fortnight_of_valid_exchanges() -> None:
    rows = lines(NIGHT / "first_night.jsonl")
    assert 35 <= len(rows) <= 45
    assert len({row["id"] for row in rows}) == len(rows)
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    for row in rows:
        assert re.fullmatch(r"2026-03-\d\dT\d\d:\d\d:00Z", row["time"])
        roles = [message["role"] for message in row["messages"]]
        assert roles == (["user", "assistant"] * 2)[: len(roles)]
        assert len(roles) >= 2
        assert all(message["content"].strip() for message in row["messages"])
        assert set(row.get("outcome", {})) <= {"rating", "correction"}
        assert -1 <= row.get("outcome", {}).get("rating", 0) <= 1


def test_the_first_night_teaches_in_both_voices_and_one_stranger_lies() -> None:
    rows = lines(NIGHT / "first_night.jsonl")
    own = [row for row in rows if row["source"].startswith("user:")]
    strangers = [row for row in rows if not row["source"].startswith("user:")]
    assert sum("correction" in row.get("outcome", {}) for row in own) >= 6
    assert sum(len(row["messages"]) > 2 for row in own) >= 4
    assert len(strangers) == 1
    assert strangers[0]["source"] == "web:page"
    assert "correction" in strangers[0]["outcome"]


def test_the_questions_ask_for_lessons_in_other_words() -> None:
    rows = {row["id"]: row for row in lines(NIGHT / "first_night.jsonl")}
    questions = json.loads((NIGHT / "first_night_questions.json").read_text(encoding="utf-8"))
    assert Counter(item["kind"] == "lesson" for item in questions) == {True: 8, False: 4}
    said = {normal(message["content"]) for row in rows.values() for message in row["messages"]}
    for item in questions:
        assert item["any_of"]
        assert (item["kind"] == "lesson") == (item["lesson"] in rows)
        if item["kind"] == "lesson":
            assert normal(item["question"]) not in said
            lesson = rows[item["lesson"]]
            taught = normal(lesson.get("outcome", {}).get("correction") or lesson["messages"][2]["content"])
            assert any(normal(phrase) in taught for phrase in item["any_of"])
            assert not any(normal(phrase) in normal(lesson["messages"][1]["content"]) for phrase in item["any_of"])


@pytest.fixture(scope="module")
def thesaurus() -> dict[str, list[list[str]]]:
    data = json.loads((DREAM / "thesaurus.json").read_text(encoding="utf-8"))
    assert set(data) == {"groups", "questions"}
    groups, further = dreamt.thesaurus(wide=True)
    return {**data, "longer": [list(group) for group in groups], "further": [list(group) for group in further]}


@pytest.mark.parametrize(
    ("part", "least", "most_members"),
    [("groups", 1000, 7), ("longer", 1000, 8), ("further", 2500, 8), ("questions", 60, 8)],
)
def test_the_thesaurus_has_many_clean_groups(
    thesaurus: dict[str, list[list[str]]], part: str, least: int, most_members: int
) -> None:
    groups = thesaurus[part]
    assert len(groups) >= least
    assert len({frozenset(group) for group in groups}) == len(groups)
    for group in groups:
        assert 3 <= len(group) <= most_members
        assert len({normal(member) for member in group}) == len(group), group
        for member in group:
            assert member == " ".join(member.lower().split()) != ""
            assert not member.endswith(("?", ".", ","))


def test_words_have_no_gaps_and_question_forms_agree_on_theirs(thesaurus: dict[str, list[list[str]]]) -> None:
    assert not [member for group in thesaurus["groups"] for member in group if re.search(r"[{}]", member)]
    for group in thesaurus["questions"]:
        gaps = [sorted(re.findall(r"\{[^}]*\}", member)) for member in group]
        assert gaps[0] in ([], ["{x}"], ["{x}", "{y}"]), group
        assert all(gap == gaps[0] for gap in gaps), group


def test_the_thesaurus_never_turns_one_relation_into_another(thesaurus: dict[str, list[list[str]]]) -> None:
    """Even by following groups that share a word: a sister must not come out as a brother."""
    relations = ["mother", "father", "sister", "brother", "wife", "husband", "son", "daughter", "friend", "neighbour"]
    relations += ["grandmother", "grandfather", "colleague", "boss", "dog", "cat", "rabbit", "horse"]
    for start in relations:
        reached, size = {start}, 0
        while len(reached) > size:
            size = len(reached)
            reached |= {other for member in reached for other in reword._words(wide=True).get(member, ())}
        assert reached & set(relations) == {start}


def test_the_prose_is_forty_distinct_pieces_of_several_sentences() -> None:
    rows = lines(DREAM / "prose.jsonl")
    assert len(rows) >= 40
    assert len({normal(row["opening"]) for row in rows}) == len({normal(row["rest"]) for row in rows}) == len(rows)
    for row in rows:
        assert set(row) == {"opening", "rest"}
        assert re.fullmatch(r"\S[^\n]*\S\.", row["opening"])
        assert 200 <= len(row["rest"]) <= 400
        assert row["rest"].strip() == row["rest"]
        assert 2 <= len(re.findall(r"[.!?](?= [A-Z]|$)", row["rest"])) <= 4, row["rest"]


def test_stories_fit_before_any_question() -> None:
    bank = json.loads((DREAM / "stories.json").read_text(encoding="utf-8"))
    assert {part: len(texts) >= least for (part, texts), least in zip(bank.items(), (250, 75, 55), strict=True)} == {
        "before": True, "said": True, "after": True,
    }  # fmt: skip
    for texts in bank.values():
        assert len({normal(text) for text in texts}) == len(texts)
    assert not [text for text in bank["before"] if not text.endswith((".", "!")) or not 8 <= len(text.split()) <= 40]
    assert all(text.endswith(":") for text in bank["said"]) and all(text[-1] in ".!" for text in bank["after"])


def test_what_is_asked_of_a_class_has_one_gap_and_gets_one_article() -> None:
    forms = json.loads((DREAM / "wide.json").read_text(encoding="utf-8"))["askings"]
    names = {name: json.loads((DREAM / f"{name}.json").read_text(encoding="utf-8")) for name in ("invented", "real")}
    assert set(forms) == CLASSES
    for kind, mine in forms.items():
        assert len({normal(form) for form in mine}) == len(mine) >= 25
        assert all(form.count("{x}") == 1 and form.count("{") == 1 for form in mine)
        for name in (*names["invented"][kind], *names["real"][kind]):
            assert not [form for form in mine if re.search(r"\b(?:the|an?) the\b", form.replace("{x}", name))]


def test_an_exam_asks_none_of_what_is_asked_of_a_class() -> None:
    forms = json.loads((DREAM / "wide.json").read_text(encoding="utf-8"))["askings"]
    patterns = [
        re.compile(re.escape(normal(form.replace("{x}", "zzz"))).replace("zzz", ".+"))
        for mine in forms.values()
        for form in mine
    ]
    for folder in ("src/slowwave/exam/data", "bench/lessons"):
        asked = texts_below(ROOT / folder)
        shared = sum(any(pattern.fullmatch(text) for pattern in patterns) for text in asked)
        assert shared == 0, f"{shared} forms are asked in {folder}"  # counts only: the exam stays unread
