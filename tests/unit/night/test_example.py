"""Rules in whatever words, read off the message that broke them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slowwave.night import example
from slowwave.night.lessons import extract
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
