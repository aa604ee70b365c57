"""Records go to JSON and come back the same."""

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from slowwave.records import Check, Experience, Lesson, Outcome, Salience, Scene, from_dict, new_id, to_dict

ASKED = {"role": "user", "content": "Who are you?"}
SALIENCE = Salience(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, -1.0, {"surprise": "unlikely"})
RECORDS = [
    Experience("e1", "default", "user:ann", "2026-03-01T08:00:00Z", (ASKED, {"role": "assistant", "content": "Bot."})),
    Experience(
        "e2", "default", "", "", (ASKED,), Outcome(-1.0, "I am Mira.", False), "user", SALIENCE, "default@n0001"
    ),
    Lesson("l1", "default", "I am Mira.", ASKED["content"], "I am Mira.", Check(("mira",), ("bot",)), night=3),
    Lesson("l2", "default", "rule", None, None, Check(), "cue", "begin|Ahoy|begin|Aye", experiences=("e1", "e2")),
    Scene("s1", "l1", "apply", (ASKED,), "I am Mira.", "given", "exam", 0.5, Check(("mira",)), "user", ("e1",), False),
    Scene("s2", None, "ordinary", (ASKED,), None, "bank"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.id)
def test_through_json_and_back(record: Any) -> None:
    assert from_dict(type(record), json.loads(json.dumps(to_dict(record)))) == record


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.id)
def test_an_unknown_key_is_refused(record: Any) -> None:
    with pytest.raises(TypeError, match="colour"):
        from_dict(type(record), {**to_dict(record), "colour": "blue"})


@pytest.mark.parametrize(("place", "nested"), [(1, "outcome"), (1, "salience"), (2, "check")])
def test_an_unknown_key_within_is_refused(place: int, nested: str) -> None:
    data = to_dict(RECORDS[place])
    data[nested]["colour"] = "blue"
    with pytest.raises(TypeError, match="colour"):
        from_dict(type(RECORDS[place]), data)


def test_a_missing_field_is_refused() -> None:
    data = to_dict(RECORDS[2])
    del data["note"]
    with pytest.raises(TypeError, match="note"):
        from_dict(Lesson, data)


def test_nothing_of_a_record_is_shared_with_its_data() -> None:
    data = to_dict(RECORDS[0])
    data["messages"][0]["content"] = "changed"
    assert RECORDS[0].messages[0]["content"] == "Who are you?"
    with pytest.raises(FrozenInstanceError):
        RECORDS[0].id = "other"


def test_the_same_content_has_the_same_id_and_other_content_another() -> None:
    assert new_id("a", 1, None) == new_id("a", 1, None)
    assert len({new_id("a", "b"), new_id("ab"), new_id("b", "a"), new_id(["a", "b"]), new_id("a", "b", None)}) == 5
    assert len(new_id("a")) == 16 and int(new_id("a"), 16) >= 0  # the dreamer reads it as a number
    assert new_id(RECORDS[2]) != new_id(replace(RECORDS[2], note="other"))
