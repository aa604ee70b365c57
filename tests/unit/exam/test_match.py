import pytest

from slowwave.exam.match import UNKNOWN_PHRASES, asserts, has_rule, normalise, passes
from slowwave.records import Check

UNKNOWN = Check(any_of=UNKNOWN_PHRASES)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("  “Hello”,\nWORLD! ", "hello world"),
        ("I don’t know; I'm new.", "i do not know i am new"),
        ("I dont, I cannot", "i do not i can not"),
        ("Mira's dog", "mira s dog"),
        ("1,000 or 1000.0 or 1000", "1000 or 1000 or 1000"),
        ("It is 3.50.", "it is 3.5"),
        ("Twenty-one, forty two, seven", "21 42 7"),
        ("at 07:30 or 7am", "at 7 30 or 7 am"),
        ("code 0042, B12, 3rd", "code 0042 b12 3rd"),
        ("-5 and 2026-03-01", "-5 and 2026 3 1"),
        ("ＦＵＬＬ ﬁne Straße", "full fine strasse"),
        ("C++ ☀️", "c + + ☀"),
        ("**bold** `code`", "bold code"),
    ],
)
def test_normalise(text: str, normal: str) -> None:
    assert normalise(text) == normal
    assert normalise(normal) == normal  # a phrase taken from a normalised answer still matches


@pytest.mark.parametrize(
    ("answer", "phrase", "said"),
    [
        ("My name is Mira.", "mira", True),
        ("Miracles happen.", "mira", False),
        ("That's Mira's.", "Mira", True),
        ("You own three cats.", "3 cats", True),
        ("You own 13 cats.", "3 cats", False),
        ("It costs $1,000.", "1000", True),
        ("It costs 1,000,5.", "1000", True),
        ("It costs 10,000.", "10", False),
        ("It is 3.5 km.", "3", False),
        ("It is 30.", "30", True),
        ("Ahoy! Sure.", "^ahoy", True),
        ("Well, ahoy!", "^ahoy", False),
        ("Ahoyed", "^ahoy", False),
        ("Lisbon, Portugal", "Lisbon Portugal", True),
        ("你住在里斯本。", "里斯本", True),
        ("Done!", "!", True),
        ("Done.", "!", False),
        ("anything", "", False),
    ],
)
def test_word_boundaries(answer: str, phrase: str, said: bool) -> None:
    assert asserts(answer, phrase) is said


@pytest.mark.parametrize(
    ("answer", "phrase", "said"),
    [
        ("Your name is not Mira.", "Mira", False),
        ("Your name isn't Mira.", "Mira", False),
        ("You are not called Mira.", "Mira", False),
        ("You don't live in Lisbon.", "Lisbon", False),
        ("You are no longer in Lisbon.", "Lisbon", False),
        ("No, your name is Mira.", "Mira", True),
        ("I am not Bob, I am Mira.", "Mira", True),
        ("I'm not. Mira is my name.", "Mira", True),
        ("It is not Mira. Sorry: it is Mira.", "Mira", True),
        ("Never deploy on a Friday.", "Friday", True),  # a taught prohibition
        ("Do not use tabs.", "tabs", True),
        ("You don't like coriander.", "coriander", True),
        ("It isn't fictional.", "is fictional", False),
        ("It does not exist.", "not exist", True),  # the phrase brings its own denial
    ],
)
def test_a_denied_phrase_is_not_said(answer: str, phrase: str, said: bool) -> None:
    assert asserts(answer, phrase) is said


def test_none_of_forbids_but_a_denial_is_allowed() -> None:
    check = Check(any_of=("Mira",), none_of=("SmolLM",))
    assert passes("I am Mira.", check)
    assert not passes("I am Mira, also known as SmolLM.", check)
    assert passes("I am Mira, not SmolLM.", check)
    assert not passes("I am neither.", check)


def test_silence_never_passes_and_an_empty_check_is_no_rule() -> None:
    assert not passes(" \n", Check())
    assert not passes("", Check(none_of=("x",)))
    assert passes("anything", Check())
    assert not has_rule(Check())
    assert has_rule(Check(none_of=("x",)))


@pytest.mark.parametrize(
    "answer",
    [
        "I don't know.",
        "I’m not familiar with a country called Zandoria.",
        "Sorry, I do not know that one.",
        "Don't know, sorry.",
        "There is no such country.",
        "I'm sorry, but I don't have any information about Zandoria.",
        "Zandoria doesn't exist.",
        "Zandoria does not appear to be a real country.",
        "Zandoria is a fictional country.",
        "It's a made-up word.",
        "I've never heard of it.",
        "I couldn't find Zandoria.",
        "I'm unable to find any record of that.",
        "As far as I know, that's not a real place.",
        "I am not aware of any place by that name.",
    ],
)
def test_unknown_is_recognised(answer: str) -> None:
    assert passes(answer, UNKNOWN)


@pytest.mark.parametrize(
    "answer",
    [
        "The capital of France is Paris.",
        "You know, the capital is Paris.",
        "Many people don't know that the capital is Canberra.",
        "If you don't know, it's Paris.",
        "I know that Paris is the capital.",
        "Water is made up of hydrogen and oxygen.",
        "Most people have never heard of Funafuti, the capital of Tuvalu.",
        "The telephone was invented by Bell.",
        "It surely exists; it is real.",
        "Tuvalu is not fictional.",
        "There is no doubt that it is Rome.",
        "Forrest Gump, a fictional character, is played by Tom Hanks.",
        "You don't have to worry, it is Oslo.",
        "It is note 5: the unknown soldier.",
    ],
)
def test_knowing_is_not_taken_for_unknown(answer: str) -> None:
    assert not passes(answer, UNKNOWN)
