"""Rules in whatever words, read off the message that broke them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slowwave.night import example
from slowwave.night.lessons import extract
from slowwave.night.shown import shown
from slowwave.records import Experience, Outcome

ROWS = [json.loads(line) for line in Path(__file__).with_name("rules.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=[row["rule"] for row in ROWS])
def test_the_broken_message_shows_the_cue(row: dict[str, str]) -> None:
    """Each row: the message, what the user said to its answer, the wanted answer; cue, place and phrase."""
    said = (
        {"role": "user", "content": row["said"]},
        {"role": "assistant", "content": "Something else."},
        {"role": "user", "content": row["rule"]},
    )
    lesson = extract(Experience("e1", "default", "user:ann", "", said, outcome=Outcome(-1, row["wanted"])))
    assert lesson is not None and lesson.kind == "cue" and lesson.cue is not None
    _, found, *rest = lesson.cue.split("|")
    assert found.rstrip(".,!:").lower() == row["cue"].rstrip(".,!:").lower()
    assert rest == [row["place"], row["phrase"]]


def test_a_rule_may_stand_in_the_correction() -> None:
    said = ({"role": "user", "content": "Ahoy, what is a reef?"}, {"role": "assistant", "content": "A rock."})
    rule = 'A message with "Ahoy" first needs "Aye!" first in its answer.'
    lesson = extract(Experience("e1", "default", "user:ann", "", said, outcome=Outcome(correction=rule)))
    assert lesson is not None and lesson.cue == "begin|Ahoy|begin|Aye!"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("Anna, who wrote Dune?", 'Anna, it was "Frank Herbert".'),
        ("What is the capital of Peru?", 'No, the capital is called "Lima".'),
        ("Please, what does nemo mean?", 'It means "nobody".'),
        ("Captain, what is a reef?", 'Why did you start with "Well"?'),
        ("Captain, what is a reef?", 'Start with "Aye!" or with "Ahoy!" as you like, captain.'),
        ("What is a reef?", 'Your answer should have been "a ridge of rock".'),
        ("Hello, what did he say?", 'Hello, he said "start" and left.'),
        ("Captain, what is a reef?", "Start over, captain, and be brief."),
        ("Which tram do I take to work?", 'You should say: "You take tram 17 to work."'),
    ],
)  # fmt: skip
def test_an_answer_is_no_rule(said: str, text: str) -> None:
    assert example.parse(text, said) is None


def test_a_plain_correction_is_an_answer() -> None:
    said = ({"role": "user", "content": "Which tram do I take to work?"}, {"role": "assistant", "content": "The 5."})
    lesson = extract(
        Experience("e1", "default", "user:ann", "", said, outcome=Outcome(-1, "You take tram 17 to work."))
    )
    assert lesson is not None and lesson.kind == "answer" and lesson.answer == "You take tram 17 to work."


@pytest.mark.parametrize(
    ("said", "text", "wanted"),
    [
        ("Mum, when is dinner?", "No, mum, dinner is at six!", "Dinner is at six."),
        (
            "Hi, who is Al and where does he live?",
            "Al is my uncle. He lives in Rome, hi.",
            "Al is your uncle. In Rome.",
        ),
        ("Where do I park, sir?", "You park behind the mill, sir.", "Behind the mill."),
        ("What is my sister's name, please?", "Just say Ilse Marie, please.", "Ilse Marie."),
        ("Hello, what is my desk's number?", "Wrong. The desk number is 12.", "12."),
    ],
)
def test_a_right_answer_that_repeats_the_correction_is_no_habit(said: str, text: str, wanted: str) -> None:
    messages = tuple({"role": r, "content": c} for r, c in (("user", said), ("assistant", "No idea."), ("user", text)))
    lesson = extract(Experience("e1", "default", "user:ann", "", messages, outcome=Outcome(-1, wanted)))
    assert lesson is not None and lesson.kind == "answer" and lesson.answer == wanted


@pytest.mark.parametrize(
    ("rule", "wanted", "found"),
    [
        ("two stars mean stars come back, at the end", "It rains. Stars come back!", ("Stars come back!", "end")),
        ("I'd love to hear aye aye first", "Aye, aye! The tide is low.", ("Aye, aye!", "begin")),
        ("just say roger that", "Roger that.", ("Roger that.", "whole")),
        ("the name of it is the", "The name of it.", ("The name of it.", "whole")),
        ("it is in the", "It is in the. Sea.", None),
        ("say it again", "Ice floats.", None),
        ("well met comes first", "Well met it rains", None),
        ("", "", None),
    ],
)
def test_the_phrase_is_what_rule_and_answer_share_at_an_edge(
    rule: str, wanted: str, found: tuple[str, str] | None
) -> None:
    assert shown(rule, wanted) == found
