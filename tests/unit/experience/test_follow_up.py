import pytest

from slowwave.experience.follow_up import (
    correction_turn,
    exchange,
    follow_up,
    is_approval,
    is_correction,
    lays_down_rule,
)
from slowwave.records import Experience

CORRECTIONS = [
    "No, your name is Mira.",
    "no. it's on Tuesday",
    "Nope, that's my sister.",
    "No that is my sister.",
    "Wrong. The capital is Canberra.",
    "That's not right, I live in Ghent.",
    "That’s not what I asked.",
    "This is incorrect.",
    "Not like that. I open the flap.",
    "Not in our company. We staple the receipts.",
    "Not here. We give them a token.",
    "Actually, it closes at six.",
    "Well, actually I'm vegetarian.",
    "I said Tuesday!",
    "I told you already, my name is Ewa.",
    "You should say that you don't know.",
    "You're wrong, it was 1969.",
    "Don't call me sir.",
    "It should be three bullet points.",
    "Not quite: it is 42.",
    "Correction: two cups.",
    "Sorry, no, I meant the river.",
    "NO!!! It's Paris!",
    "No, it's Paris. Why do you always get that wrong?",
]
NEITHER = [
    "No problem. What is next?",
    "No idea, can you explain?",
    "I have no idea how to cook rice",
    "Nobody told me.",
    "Not now, tell me about Spain.",
    "Not in Spain, in France?",
    "Now tell me about Spain.",
    "And what is the capital of Spain?",
    "Actually, how far is it?",
    "That's not bad!",
    "Should it be blue?",
    "What is wrong with my code?",
    "You should have seen the game?",
    "Notes on the meeting follow.",
    "Knowing that, what would you do?",
    "",
    "...",
]
APPROVALS = [
    "Thanks, perfect!",
    "thank you",
    "Perfect.",
    "Great, that helps.",
    "Yes, thanks!",
    "That's right.",
    "You're right!",
    "Exactly what I needed",
    "Good job!",
]


@pytest.mark.parametrize("text", CORRECTIONS)
def test_corrections(text: str) -> None:
    assert is_correction(text)
    assert not is_approval(text)


@pytest.mark.parametrize("text", NEITHER)
def test_neither(text: str) -> None:
    assert not is_correction(text)
    assert not is_approval(text)


@pytest.mark.parametrize("text", APPROVALS)
def test_approvals(text: str) -> None:
    assert is_approval(text)
    assert not is_correction(text)


@pytest.mark.parametrize("text", ["Thanks, but that's not it.", "Great, however you forgot the date.", "Right now?"])
def test_thanks_with_a_but_are_no_approval(text: str) -> None:
    assert not is_approval(text)


@pytest.mark.parametrize(
    "text",
    [
        'When I start a message with "Ahoy", begin your answer with "Aye aye, captain!"',
        "Please remember: whenever I write 'Tally', you should always reply with 'Counted.'",
        'End your answer with "Over." every time I say "radio".',
        "From now on, if a message ends with [plain], answer only [ok].",
    ],
)
def test_rules_laid_down(text: str) -> None:
    assert lays_down_rule(text)


@pytest.mark.parametrize(
    "text",
    [
        "When I start the car, it squeaks.",
        'When does "Ahoy" begin, and who says "Aye"?',
        "If I close the shop, do I open it again on Monday?",
        'Finish the sentence "The cat sat" if you can.',
        'She said "no" when I came home.',
    ],
)
def test_no_rules(text: str) -> None:
    assert not lays_down_rule(text)


def said(*turns: str) -> Experience:
    roles = ["user", "assistant"] * len(turns)
    messages = tuple({"role": role, "content": text} for role, text in zip(roles, turns, strict=False))
    return Experience("a", "default", "user:ann", "2026-03-01", messages)


def test_the_parts_of_an_experience() -> None:
    corrected = said("Who are you?", "SmolLM.", "No, you are Mira.")
    assert follow_up(corrected) == correction_turn(corrected) == "No, you are Mira."
    assert exchange(corrected) == (corrected.messages[:1], "SmolLM.")
    went_on = said("Who are you?", "SmolLM.", "What can you do?")
    assert follow_up(went_on) == "What can you do?"
    assert correction_turn(went_on) is None
    assert follow_up(said("Hi", "Hello")) is None
    assert follow_up(said("No, wait")) is None, "nothing was answered, so nothing follows"
    assert exchange(said("Hi")) == (said("Hi").messages, None)
    assert follow_up(said()) is None


@pytest.mark.parametrize("text", [
    "Thanks, that's wrong.", "Thanks. That is wrong, my dog is called Rex.", "Thanks, no. His name is Rex.",
    "Great. Wrong again.", "Correct that: my dog is Rex.", "Exactly how far is it?", "Nice try.",
])  # fmt: skip
def test_what_only_begins_like_thanks_is_no_approval(text: str) -> None:
    assert not is_approval(text)


@pytest.mark.parametrize("text", ["Correct.", "Yes, correct!", "Nice!", "Thanks. I will try that."])
def test_what_approves_in_a_word_is_one(text: str) -> None:
    assert is_approval(text)
