"""From the user's correction to the assistant's answer: openings go, persons turn round."""

import pytest

from slowwave.night.voice import quotes_answer, strip_opening, turn

CORRECTIONS = [
    ("No, my sister's name is Ilse.", "Your sister's name is Ilse."),
    ("No, your name is Mira.", "My name is Mira."),
    ("I live in Bergen.", "You live in Bergen."),
    ("Actually, I live in Bergen.", "You live in Bergen."),
    ("Wrong. We deploy with ship.sh on Thursdays.", "You deploy with ship.sh on Thursdays."),
    ("No, that's wrong. My name is Ann.", "Your name is Ann."),
    ("That is not my name. My name is Ann.", "Your name is Ann."),
    ("Not quite: I'm 34 and my brother is 30.", "You are 34 and your brother is 30."),
    ("No. I told you, my dog is called Biscuit.", "Your dog is called Biscuit."),
    ("I told you before: our server is called atlas.", "Your server is called atlas."),
    ("Wrong, you are my assistant and I am your boss.", "I am your assistant and you are my boss."),
    ("No, she is a friend of mine.", "She is a friend of yours."),
    ("No, I've moved; I'll be in Rome.", "You have moved; you will be in Rome."),
    ("No, you were built by us.", "I was built by you."),
    ("No, I call you Mira.", "You call me Mira."),
    ("No, we named you Mira.", "You named me Mira."),
    ("No, call me Ann.", "Your name is Ann."),
    ("No, I gave you the book.", "You gave me the book."),
    ("No, I think you like tea.", "You think I like tea."),
    ("No, we love you!", "You love me!"),
    ("The correct answer is 42.", "42."),
    ("Sorry, it should be Tuesday.", "Tuesday."),
    ("You should have said that the meeting is on Friday.", "The meeting is on Friday."),
    ("No, just say that it is blue.", "It is blue."),
    ("No, it's Dr. Okafor.", "It's Dr. Okafor."),
    ("Actually no, our team uses Rust", "Your team uses Rust"),
]


@pytest.mark.parametrize(("said", "answer"), CORRECTIONS)
def test_a_correction_becomes_the_answer(said: str, answer: str) -> None:
    assert turn(strip_opening(said)) == answer


@pytest.mark.parametrize(
    "text",
    [
        "Note that it is in May.",
        "Notice the door.",
        "Not in our house but in hers.",
        "Not here but in the shed.",
        "Nothing is wrong with it.",
        "No one lives there.",
        "No problem.",
    ],
)
def test_words_that_only_begin_like_an_opening_stay(text: str) -> None:
    assert strip_opening(text) == text


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("You should say: My name is Mira.", "My name is Mira."),
        ('Please answer: "I don\'t know a country called Vorland."', "I don't know a country called Vorland."),
        ("No. Just say: you are welcome", "You are welcome"),
        ("You should reply with: Roger.\nOver.", "Roger.\nOver."),
        ("It's not real. Say this instead: I don't know a car called Lynd.", "I don't know a car called Lynd."),
        ("I made it up. What you should tell me is: I don't know it.", "I don't know it."),
        ("It's mine. The answer I want is: I don't know it.", "I don't know it."),
    ],
)
def test_a_dictated_answer_is_kept_word_for_word(said: str, words: str) -> None:
    assert quotes_answer(said)
    assert strip_opening(said) == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Not like that. I open the flap.", "I open the flap."),
        ("Not in our company. We staple them.", "We staple them."),
        ("Not here. We give them a token.", "We give them a token."),
        ("That's not our way. We fill in a slip.", "We fill in a slip."),
    ],
)
def test_what_is_not_so_here_is_no_part_of_the_answer(text: str, said: str) -> None:
    assert strip_opening(text) == said


@pytest.mark.parametrize("said", ["No, my name is Ann.", "You should say hello.", "She says no: never."])
def test_what_is_not_dictated(said: str) -> None:
    assert not quotes_answer(said)


@pytest.mark.parametrize("text", ["Ilse is in Bergen.", "Inform Ian: yourselves, myrtle, weather.", ""])
def test_only_whole_words_of_the_two_persons_turn(text: str) -> None:
    assert turn(text) == text


def test_turning_twice_gives_the_first_person_back() -> None:
    for text in ("My dog is yours.", "I am your boss.", "You were with me."):
        assert turn(turn(text)) == text
