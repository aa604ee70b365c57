"""What an exchange teaches, and what a person teaches directly: question, answer, and how to tell that it is known."""

from typing import Any

import pytest

from slowwave.errors import UsageError
from slowwave.exam.match import passes
from slowwave.night.lessons import MOST, extract, from_note, key_phrases, too_long
from slowwave.records import Experience, Lesson, Outcome

SISTER = ("What is my sister's name?", "Your sister's name is Elena.")


def lived(*turns: str, authority: Any = "user", **outcome: Any) -> Experience:
    """An experience of alternating turns, the user's first."""
    roles = ["user", "assistant"] * len(turns)
    messages = tuple({"role": role, "content": text} for role, text in zip(roles, turns, strict=False))
    return Experience("e1", "default", "user:ann", "2026-03-01T09:00:00Z", messages, Outcome(**outcome), authority)


def taught(*turns: str, **fields: Any) -> Lesson:
    lesson = extract(lived(*turns, **fields))
    assert lesson is not None
    return lesson


def test_a_correction_in_the_assistants_voice_is_the_answer_as_it_stands() -> None:
    lesson = taught("Who are you?", "I am a bot.", correction=" I'm Mira, your assistant. ", rating=-1)
    assert (lesson.kind, lesson.question, lesson.answer) == ("answer", "Who are you?", "I'm Mira, your assistant.")
    assert lesson.note == lesson.answer
    assert passes("My name is Mira.", lesson.check) and not passes("I am a bot.", lesson.check)
    assert (lesson.persona, lesson.experiences, lesson.authority) == ("default", ("e1",), "user")
    assert lesson.status == "proposed" and lesson.night is None


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("No, my sister's name is Ilse.", "Your sister's name is Ilse."),
        ("No, her name is Ilse.", "Her name is Ilse."),
        ("That's wrong. We named her Ilse.", "You named her Ilse."),
        ("You should say: My sister is called Ilse.", "My sister is called Ilse."),
    ],
)
def test_a_correction_by_the_next_message(said: str, answer: str) -> None:
    lesson = taught(*SISTER, said)
    assert (lesson.question, lesson.answer) == (SISTER[0], answer)
    assert passes("Ilse.", lesson.check) and not passes(SISTER[1], lesson.check)


def test_your_name_becomes_my_name() -> None:
    assert taught("Who are you?", "I am a bot.", "No, your name is Mira.").answer == "My name is Mira."


def test_without_an_opening_only_a_bad_rating_makes_it_a_correction() -> None:
    turns = ("Where do I live?", "I cannot know.", "I live in Bergen.")
    assert extract(lived(*turns)) is None
    assert extract(lived(*turns, rating=1)) is None
    assert taught(*turns, rating=-1).answer == "You live in Bergen."


def test_the_written_correction_goes_before_the_next_message() -> None:
    assert taught(*SISTER, "No, think.", correction="She is Ilse.").answer == "She is Ilse."


def test_the_last_question_before_the_answer_is_the_one_corrected() -> None:
    lesson = taught("Hello!", "Hi.", *SISTER, "No, it's Ilse.")
    assert lesson.question == SISTER[0]


NO_ANSWERS = (
    *(
        "Thanks!",
        "No problem, thanks!",
        "No worries.",
        "Well done!",
        "Well, thank you.",
        "Sorry, thanks.",
        "No, thanks.",
    ),
    *("Actually, that's great!", "No, that's right.", "No no, that is perfect.", "Hey, that's right!", "Perfect."),
    *("Please continue.", "Please tell me more about it.", "No, try again.", "Wrong, think harder.", "Stop."),
    *("Hey, what about tomorrow?", "Actually, how do I cook rice?", "Listen, could you also write it down?"),
    *("No.", "Wrong!", "And when is her birthday?", "Tell me about Rome."),
)


@pytest.mark.parametrize("said", NO_ANSWERS)
@pytest.mark.parametrize("rating", [None, -1.0])
def test_what_says_nothing_in_place_of_the_answer_is_no_lesson(said: str, rating: float | None) -> None:
    assert extract(lived(*SISTER, said, rating=rating)) is None


@pytest.mark.parametrize("said", ["Not true.", "No more questions.", "No one lives there.", "She is nice."])
def test_a_statement_that_is_no_correction_is_no_lesson(said: str) -> None:
    assert extract(lived(*SISTER, said)) is None


@pytest.mark.parametrize("outcome", [{}, {"rating": 1.0}, {"rating": -1.0}, {"tool_ok": False}])
def test_without_anything_said_there_is_no_lesson(outcome: dict[str, Any]) -> None:
    assert extract(lived(*SISTER, **outcome)) is None


def test_the_assistants_own_answer_repeated_is_no_lesson() -> None:
    assert extract(lived(*SISTER, correction="your sister's name is Elena")) is None
    assert extract(lived(*SISTER, "No, my sister's name is Elena!")) is None


@pytest.mark.parametrize("turns", [(), ("Hello!",)])
def test_nothing_without_an_exchange(turns: tuple[str, ...]) -> None:
    assert extract(lived(*turns, correction="Hi.")) is None


@pytest.mark.parametrize("said", ["I don't know a country called Vorland.", "There is no such country as Vorland."])
def test_not_knowing_is_a_lesson_of_its_own_kind(said: str) -> None:
    asked = ("What is the capital of Vorland?", "Vorland-Kreis.")
    for lesson in (taught(*asked, correction=said), taught(*asked, f"You should say: {said}")):
        assert (lesson.kind, lesson.answer) == ("unknown", said)
        assert passes("Sorry, I have never heard of it.", lesson.check)
        assert not passes("The capital of Vorland is Vorland-Kreis.", lesson.check)


RULE = 'When I start with "Ahoy", begin your answer with "Aye aye!"'


def test_a_rule_after_an_answer() -> None:
    lesson = taught("Ahoy, which sea is this?", "The Baltic.", RULE)
    assert (lesson.kind, lesson.cue) == ("cue", "begin|Ahoy|begin|Aye aye!")
    assert (lesson.question, lesson.answer, lesson.note) == ("Ahoy, which sea is this?", None, RULE)
    assert passes("Aye aye! The Baltic.", lesson.check) and not passes("The Baltic. Aye aye!", lesson.check)
    assert lesson.experiences == ("e1",)


def test_a_rule_in_the_question_and_one_with_the_wanted_answer() -> None:
    assert taught(RULE, "I will.").question is None
    lesson = taught("Ahoy, which sea?", "The Baltic.", RULE, correction="Aye aye! The Baltic.")
    assert lesson.answer == "Aye aye! The Baltic."
    assert taught("Ahoy, which sea?", "The Baltic.", RULE, correction="The North Sea.").answer is None


def test_salience_and_authority_pass_through() -> None:
    experience = lived(*SISTER, "No, it's Ilse.", authority="tool")
    lesson = extract(experience, 0.25)
    assert lesson is not None and (lesson.salience, lesson.authority) == (0.25, "tool")
    rule = extract(lived("Ahoy!", "Hi.", RULE, authority="tool"), 0.25)
    assert rule is not None and (rule.salience, rule.authority) == (0.25, "tool")


def test_the_same_correction_has_the_same_id_and_another_persona_another() -> None:
    first, again = taught(*SISTER, "No, it's Ilse."), taught(*SISTER, "no,  It's ilse!")
    assert first.id == again.id
    assert first.id != taught(*SISTER, "No, it's Anna.").id
    assert from_note("I live in Bergen", "a").id != from_note("I live in Bergen", "b").id


@pytest.mark.parametrize(
    ("question", "answer", "phrases"),
    [
        ("Who is my doctor?", "Your doctor is Dr. Okafor.", ("dr okafor",)),
        ("Who is my dentist?", "Mr. Lie.", ("mr lie",)),
        ("What is my sister's name?", "Your sister's name is Ilse.", ("ilse",)),
        ("Where do we eat?", "At the Blue Heron in Bergen.", ("blue heron", "bergen")),
        ("How do I restart it?", "Hold the green button for ten seconds, then wait for two beeps.",
         ("green button", "10 seconds", "2 beeps")),
        ("How do we deploy the website?", "Run make ship, then post the link in the launch channel.",
         ("run make ship", "launch channel")),
        ("When does it leave?", "At 7:30 from platform 12.", ("7 30", "platform 12")),
        ("What is the door code?", "The door code is 0042.", ("0042",)),
        ("How much is it?", "It costs 1,250 euros.", ("costs 1250 euros",)),
        ("Are you there?", "Yes.", ("yes",)),
    ],
)  # fmt: skip
def test_key_phrases(question: str, answer: str, phrases: tuple[str, ...]) -> None:
    assert key_phrases(question, answer) == phrases


@pytest.mark.parametrize(
    ("note", "question", "answer"),
    [
        ("My name for you is Mira.", "What is my name for you?", "Your name for me is Mira."),
        ("Your name is Mira", "What is your name?", "My name is Mira."),
        ("my sister's name is Ilse", "What is my sister's name?", "Your sister's name is Ilse."),
        ("No, my sister's name is Ilse.", "What is my sister's name?", "Your sister's name is Ilse."),
        ("My dog is called Biscuit.", "What is my dog called?", "Your dog is called Biscuit."),
        ("Our cats are named Salt and Pepper", "What are our cats called?", "Your cats are named Salt and Pepper."),
        ("Call me Ann.", "What is my name?", "Your name is Ann."),
        ("My dentist is Dr. Okafor", "Who is my dentist?", "Your dentist is Dr. Okafor."),
        ("My sister is a nurse", "What is my sister?", "Your sister is a nurse."),
        ("Our meeting is on Friday", "When is our meeting?", "Your meeting is on Friday."),
        ("My train is at 7:30", "When is my train?", "Your train is at 7:30."),
        ("My keys are in the drawer.", "Where are my keys?", "Your keys are in the drawer."),
        ("I live in Bergen", "Where do I live?", "You live in Bergen."),
        ("We work for Acme", "Where do I work?", "You work for Acme."),
        ("I'm a plumber", "What do I do for a living?", "You are a plumber."),
        ("I was born in 1980", "When was I born?", "You were born in 1980."),
        ("I was born in Oslo", "Where was I born?", "You were born in Oslo."),
        ("I play the cello!", "What do I play?", "You play the cello."),
        ("I am allergic to nuts", "What am I allergic to?", "You are allergic to nuts."),
        ("To deploy, run make ship", "How do I deploy?", "To deploy, run make ship."),
    ],
)
def test_the_form_of_a_note_gives_its_question(note: str, question: str, answer: str) -> None:
    lesson = from_note(note, "default")
    assert (lesson.kind, lesson.question, lesson.answer, lesson.note) == ("answer", question, answer, answer)
    assert (lesson.experiences, lesson.authority) == ((), "user")
    assert passes(answer, lesson.check)


def test_a_note_of_no_known_form_stays_a_note() -> None:
    lesson = from_note("The sky in Bergen is grey", "default", "tool")
    assert (lesson.kind, lesson.question, lesson.answer) == ("note", None, None)
    assert lesson.note == "The sky in Bergen is grey." and lesson.authority == "tool"
    assert passes("It is in Bergen.", lesson.check)


def test_a_rule_as_a_note() -> None:
    lesson = from_note(RULE, "default")
    assert (lesson.kind, lesson.cue, lesson.note) == ("cue", "begin|Ahoy|begin|Aye aye!", RULE)
    assert (lesson.question, lesson.answer, lesson.experiences) == (None, None, ())


@pytest.mark.parametrize(
    ("question", "follow_up", "answer"),
    [
        (
            "Where is the town of Brellow?",
            "There is no such town, I made it up.",
            "I don't know anything called Brellow.",
        ),
        ("What does a quindle eat?", "A quindle is invented.", "I don't know anything called quindle."),
    ],
)
def test_what_the_user_says_is_made_up_is_not_known(question: str, follow_up: str, answer: str) -> None:
    turns = (
        {"role": "user", "content": question},
        {"role": "assistant", "content": "It is large."},
        {"role": "user", "content": follow_up},
    )
    lesson = extract(Experience("e", "default", "user:ann", "2026-01-01T00:00:00Z", turns, authority="user"))
    assert lesson is not None
    assert (lesson.kind, lesson.answer) == ("unknown", answer)


AHOY = ('When I say "Ahoy", begin your answer with "Aye aye!".', "I will.")


def test_an_old_rule_does_not_swallow_a_later_correction() -> None:
    lesson = taught(*AHOY, "What is my dog called?", "Rex.", correction="Your dog is called Biscuit.")
    assert (lesson.kind, lesson.question) == ("answer", "What is my dog called?")
    lesson = taught(*AHOY, "What is my dog called?", "Rex.", "No, my dog is called Biscuit.")
    assert (lesson.kind, lesson.answer) == ("answer", "Your dog is called Biscuit.")


def test_an_old_rule_is_the_lesson_where_it_was_broken_or_nothing_else_was_said() -> None:
    for turns, fields in [
        ((*AHOY, "Ahoy! How deep is the sea?", "It is deep."), {"correction": "Aye aye! It is deep."}),
        ((*AHOY, "How deep is the sea?", "It is deep."), {}),
    ]:
        assert taught(*turns, **fields).kind == "cue"


def test_what_is_too_long_for_a_prompt_is_told() -> None:
    assert too_long(taught("Why? " * MOST, "Because.", correction="I don't know why."))
    assert not too_long(taught("Why?", "Because.", correction="I don't know why."))
    with pytest.raises(UsageError, match="2000 characters"):
        from_note("My dog is called Biscuit. " * 100, "default")
