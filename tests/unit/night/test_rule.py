"""Rules in many wordings, and ordinary talk with "when" and "if" in which there is none."""

import json
from pathlib import Path

import pytest

from slowwave.night.rule import Rule, parse

AYE = Rule("Ahoy", "begin", "Aye aye!", "begin")


@pytest.mark.parametrize(
    "text",
    [
        'When I start with "Ahoy", begin your answer with "Aye aye!"',
        'Whenever I say "Ahoy", start with "Aye aye!".',
        'If my message begins with "Ahoy", open with "Aye aye!".',
        'No. Whenever a message of mine opens with "Ahoy", your answer should begin with "Aye aye!".',
        'Begin with "Aye aye!" whenever I say "Ahoy".',
        'Please start your reply with "Aye aye!" if my message starts with "Ahoy".',
        'Say "Aye aye!" first when I start with "Ahoy".',
        'When I say "Ahoy" you begin your reply with "Aye aye!"',
        'From now on, when I greet you with Ahoy, say "Aye aye!" first.',
        'Every time I write "Ahoy", just begin with "Aye aye!".',
        'Any time I use "Ahoy", then please open with "Aye aye!"',
        'If I address you with Ahoy, your answer has to begin with "Aye aye!".',
        'Each time I say "Ahoy", I want you to begin with "Aye aye!".',
        'When I say "Ahoy", make sure to start with "Aye aye!".',
        "As soon as I say \N{LEFT DOUBLE QUOTATION MARK}Ahoy\N{RIGHT DOUBLE QUOTATION MARK}, begin with "
        "\N{LEFT DOUBLE QUOTATION MARK}Aye aye!\N{RIGHT DOUBLE QUOTATION MARK}.",
        "When I start with 'Ahoy', begin with 'Aye aye!'",
        'Can you begin with "Aye aye!" when I say "Ahoy"?',
    ],
)
def test_one_rule_in_many_words(text: str) -> None:
    assert parse(text) == AYE


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('Please end your answer with "Over." when I write "Roger".', Rule("Roger", "begin", "Over.", "end")),
        ('When I tag a message with [code], end with "-- done".', Rule("[code]", "begin", "-- done", "end")),
        ('Every time I write #todo, begin with "Noted:"', Rule("#todo", "begin", "Noted:", "begin")),
        ('Start with "Aye" if my message starts with [sea].', Rule("[sea]", "begin", "Aye", "begin")),
        ('When I tag my message with [end], start with "So".', Rule("[end]", "begin", "So", "begin")),
        ('When I type [short], you always sign off with "K."', Rule("[short]", "begin", "K.", "end")),
        ('Each time I mention "lunch", add "Bon appetit!" at the end.', Rule("lunch", "begin", "Bon appetit!", "end")),
        ('When I write "ping", answer only "pong".', Rule("ping", "begin", "pong", "whole")),
        ('When I say "ping", reply with "pong".', Rule("ping", "begin", "pong", "whole")),
        ('When I say "go", say "We start at last".', Rule("go", "begin", "We start at last", "whole")),
        ('Any time I use "SOS", respond with exactly "On my way."', Rule("SOS", "begin", "On my way.", "whole")),
        ('If I end a message with "over", finish with "Out."', Rule("over", "end", "Out.", "end")),
        ('If you see "brb" at the end of my message, begin with "Bye".', Rule("brb", "end", "Bye", "begin")),
        ('When I begin with "Q:", start with "A:".', Rule("Q:", "begin", "A:", "begin")),
        (
            'Next time I say good night, greet me with "Sleep well!"',
            Rule("good night", "begin", "Sleep well!", "begin"),
        ),
        ('In replies to "ping", start with "pong:".', Rule("ping", "begin", "pong:", "begin")),
        ('No, answers to "Tower" messages start with "Roger".', Rule("Tower", "begin", "Roger", "begin")),
        ('You forgot: "Roger" comes first whenever I write "Tower".', Rule("Tower", "begin", "Roger", "begin")),
        ('Upon "mayday", begin with "Stay calm."', Rule("mayday", "begin", "Stay calm.", "begin")),
        ('On seeing #tldr, start with "In short:"', Rule("#tldr", "begin", "In short:", "begin")),
        ('Wherever I put [draft], finish with "The end."', Rule("[draft]", "begin", "The end.", "end")),
        ('With #garden in the message the last words are "Dig!"', Rule("#garden", "begin", "Dig!", "end")),
        ('I told you: #garden means the answer ends with "Dig!".', Rule("#garden", "begin", "Dig!", "end")),
        ('When my question has the word boss in it, finish with "Sir!"', Rule("boss", "begin", "Sir!", "end")),
        ('A message with "surf" gets "Aloha!" as its first word.', Rule("surf", "begin", "Aloha!", "begin")),
        ('Whenever "surf" shows up, kick off with "Aloha!".', Rule("surf", "begin", "Aloha!", "begin")),
        ('"Aloha!" goes at the top of the answer as soon as I use "surf".', Rule("surf", "begin", "Aloha!", "begin")),
        ('Messages beginning with "Log:" are closed with "Noted."', Rule("Log:", "begin", "Noted.", "end")),
        ('With "train mode" on, add "Mind the gap." at the end.', Rule("train mode", "begin", "Mind the gap.", "end")),
        ('Please answer "ping" with "pong".', Rule("ping", "begin", "pong", "whole")),
    ],
)
def test_cue_place_and_phrase(text: str, rule: Rule) -> None:
    assert parse(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "When is my flight?",
        "If it rains, I take the bus.",
        "Tell me when you are done, please.",
        "When I say something, answer in French.",
        'When I was young, I said "no" to "everything".',
        'I never know when to say "who" or "whom".',
        'When she said "hello", he answered "goodbye".',
        'What happens if I press "Enter", then "Escape"?',
        'How do I end a letter when I write to "Dear Sir"?',
        'When the tool prints "error", what does "retry" mean?',
        'In the play, when the king says "Begin", the scene starts with "Who goes there?".',
        'What does it mean when my boss says "soon" and I answer "fine"?',
        "It's Ann's, if that's what you're after, isn't it?",
        'Begin with "Aye aye!".',
        'In Spanish, "gracias" means "thank you", I always get it wrong.',
        'I want to know if "affect" is used with "effect".',
        'Add "milk" to the list with "eggs" in it.',
        'Write a poem that begins with "Roses" and ends with "blue".',
        'My friend told me: "hello" means "goodbye" in his language.',
        'Why do people answer "thanks" with "no problem"?',
        "",
    ],
)
def test_no_rule_in_ordinary_text(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "cue", "phrase", "place"),
    [
        (
            'Messages tagged "[law]" should get an answer that ends with "Ask a lawyer."',
            "[law]",
            "Ask a lawyer.",
            "end",
        ),
        (
            'Every message I open with "Sesame" gets a reply that begins with "Abracadabra!"',
            "Sesame",
            "Abracadabra!",
            "begin",
        ),
        ('Your reply must begin with "Jawohl" for any message of mine with "Achtung"', "Achtung", "Jawohl", "begin"),
        ('If I call you Chef, begin your answer with "Oui!"', "Chef", "Oui!", "begin"),
        ("Whenever I write `ping`, reply only with `pong`.", "ping", "pong", "whole"),
    ],
)
def test_rules_without_a_condition_word_or_quotation_marks(text: str, cue: str, phrase: str, place: str) -> None:
    found = parse(text)
    assert found is not None
    assert (found.cue, found.phrase, found.place) == (cue, phrase, place)


@pytest.mark.parametrize(
    "text", ['He called it "brave" and she called it "mad".', 'I read "Emma" and then "Persuasion".']
)
def test_two_quotations_alone_lay_nothing_down(text: str) -> None:
    assert parse(text) is None


WORDED = json.loads((Path(__file__).parents[2] / "fixtures" / "rules.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", WORDED["rules"], ids=lambda row: row["text"])
def test_the_words_before_a_quotation_say_whose_it_is(row):
    assert parse(row["text"]) == Rule(row["cue"], row["cue_at"], row["phrase"], row["place"])


@pytest.mark.parametrize("text", [*WORDED["none"], "Messages with " + "many words " * 20 + 'get "X" when I say "Y".'])
def test_what_is_told_or_asked_is_no_rule(text):
    assert parse(text) is None
