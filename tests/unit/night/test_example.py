"""Rules in whatever words, read off the message that broke them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slowwave.night import example
from slowwave.night.lessons import extract
from slowwave.night.shown import shown
from slowwave.records import Experience, Lesson, Outcome

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


FACTS = [
    ("When is my birthday?", "My birthday is the 3rd of May, every year.", "The 3rd of May."),
    ("How do I bake the cake?", "The cake needs three eggs and butter.", "Three eggs and butter."),
    ("Who answers my letters?", "Mr Jones replies to letters every Monday.", "Mr Jones."),
    ("Hey! What is my cat called?", "Hey! My cat is called Lady Grey, remember it next time.", "Lady Grey."),
    ("What do I start my day with?", "I start my day with black coffee.", "Black coffee. Always."),
    ("Mum, when is dinner?", "No, mum, dinner is at six!", "Dinner is at six."),
    ("Where do I park, sir?", "You park behind the mill, sir.", "Behind the mill."),
    ("What is my sister's name, please?", "Just say Ilse Marie, please.", "Ilse Marie."),
    ("Hello, what is my desk's number?", "Wrong. The desk number is 12.", "12."),
    ("Hello, who is my doctor?", "Hello, if you ask who my doctor is, it's Anna Weber.", "Anna Weber."),
    ("Listen, what do we say to guests first?", "Listen, you say good evening first.", "Good evening first."),
    ("Okay, what do I need for the trip?", "Okay, you need a passport and a visa, always.", "A passport and a visa."),
    ("Right, how do we start a meeting?", "Right, we start with a song, every time, you know that.", "With a song."),
    ("By the way, where is my bike?", "By the way, your answer is wrong: behind the shed.", "Behind the shed."),
    (
        "Thanks. And when does the shop close?",
        "Thanks. Every day the shop closes at half past five, please note it.",
        "At half past five.",
    ),
    ("Well, which bus do I take?", "Well, you take bus 12 and then the tram if it rains.", "Bus 12 and then the tram."),
    (
        "What is the rule for guests, please?",
        "The rule: guests sign the red book, please.",
        "Guests sign the red book.",
    ),
    ("So, what ends our choir practice?", "So, our choir practice always ends with a toast.", "A toast."),
    ("Hi, what does Ben want?", "Hi, Ben wants a drum kit for his birthday.", "A drum kit."),
]


def corrected(wanted: str, *said: str) -> Lesson | None:
    """What is learned of a conversation in which the last message but one was answered wrongly."""
    messages = [{"role": "user", "content": said[0]}]
    for text in said[1:]:
        messages += [{"role": "assistant", "content": "No idea."}, {"role": "user", "content": text}]
    return extract(Experience("e1", "default", "user:ann", "", tuple(messages), outcome=Outcome(-1, wanted)))


@pytest.mark.parametrize(("said", "text", "wanted"), FACTS)
def test_a_right_answer_that_repeats_the_correction_is_no_habit(said: str, text: str, wanted: str) -> None:
    lesson = corrected(wanted, said, text)
    assert lesson is not None and lesson.kind == "answer" and lesson.answer == wanted


@pytest.mark.parametrize(("said", "wanted"), [
    (("When does the bus leave?", "When does the train leave, at nine thirty or at ten?", "Look."), "At nine thirty."),
    (("Hello", "Hello, my doctor is Ann Weber, answer when I ask first.", "Hello, my doctor?", "No!"), "Ann Weber."),
    (("What is the time?", "Note: " + "you say when, answer first. " * 90 + "Ann Weber", "No."), "Ann Weber."),
])  # fmt: skip
def test_what_was_said_before_the_last_question_lays_down_nothing_about_its_answer(
    said: tuple[str, ...], wanted: str
) -> None:
    lesson = corrected(wanted, *said)
    assert lesson is not None and lesson.kind == "answer"


@pytest.mark.parametrize("cue", [",", ",,", "|", " ", "\N{FAMILY}\N{ZERO WIDTH JOINER}"])
def test_an_odd_mark_is_a_whole_cue_or_none(cue: str) -> None:
    lesson = corrected("Aye aye! A drink.", f"{cue} what is tea?", f'Messages with {cue} first get "Aye aye!" first')
    assert lesson is not None
    if lesson.kind == "cue":
        at, found, place, phrase = (lesson.cue or "").split("|")
        assert found.strip() and (at, place, phrase) == ("begin", "begin", "Aye aye!")


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
