import json
from pathlib import Path
from typing import Any

import pytest

from slowwave.errors import ImportFailed, UsageError
from slowwave.experience.follow_up import correction_turn, follow_up
from slowwave.experience.importers import MAX_MESSAGE_CHARACTERS, Rejected, detect, read, stream
from slowwave.experience.intake import take_in
from slowwave.experience.store import Store
from slowwave.records import Experience, Outcome

FILES = Path(__file__).parents[2] / "fixtures" / "import"


def split(path: Path, **how: Any) -> tuple[list[Experience], list[Rejected]]:
    items = list(read(path, **how))
    return [i for i in items if isinstance(i, Experience)], [i for i in items if isinstance(i, Rejected)]


def line(question: str = "q", **fields: Any) -> str:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "Fine."}]
    return json.dumps({"messages": messages} | fields)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("exchanges.jsonl", "exchange"),
        ("openai.jsonl", "exchange"),
        ("broken.jsonl", "exchange"),
        ("conversations.json", "chatgpt"),
        ("sage.json", "sage"),
        ("sage-exercises.jsonl", "sage-exercises"),
    ],
)
def test_the_format_is_known_by_its_content(name: str, format: str) -> None:
    assert detect(FILES / name) == format


def test_exchanges() -> None:
    found, rejected = split(FILES / "exchanges.jsonl", persona="ann")
    assert rejected == []
    first, dog, biscuit, parts = found
    assert (first.id, first.persona, first.authority) == ("m1", "default", "user")
    assert first.outcome == Outcome(-1.0, "I'm Mira, your assistant.")
    assert correction_turn(dog) == "No, he is called Biscuit."
    assert [m["role"] for m in dog.messages] == ["system", "user", "assistant", "user"]
    assert dog.outcome == Outcome()
    assert follow_up(biscuit) == "Thanks, perfect!"
    assert biscuit.outcome.rating == 1.0
    assert biscuit.messages[:4] == dog.messages
    assert parts.messages[1] == {"role": "user", "content": "Two\nparts"}
    assert parts.messages[0]["role"] == "system"
    assert (parts.persona, parts.source, parts.authority) == ("ann", "unknown", "unknown")


def test_an_explicit_rating_counts_before_thanks(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    turns = [("user", "q"), ("assistant", "a"), ("user", "Thanks!")]
    messages = [{"role": role, "content": text} for role, text in turns]
    file.write_text(json.dumps({"messages": messages, "outcome": {"rating": -0.5}}))
    assert split(file)[0][0].outcome.rating == -0.5


def test_every_broken_line_is_reported_and_the_rest_imported(store: Store) -> None:
    done = take_in(store, FILES / "broken.jsonl")
    assert (done.imported, done.duplicates) == (2, 1)
    why = {one.line: one.why for one in done.rejected}
    expected = {
        2: "not JSON",
        3: "no JSON object",
        4: "no `messages`",
        5: "must be a list",
        6: "no answer",
        7: "'wizard'",
        8: "no text",
        9: "empty",
        10: "rating is nan",
        11: "rating is 7",
        12: "no number",
        13: "no text",
        14: "'ratings'",
        15: "'yesterday'",
        16: "'../up'",
        17: "`source`",
        18: "0xe9",
        19: "surrogate",
        20: "nested too deeply",
        21: "no answer",
        22: "missing",
    }
    assert list(why) == list(expected)
    for number, part in expected.items():
        assert part in why[number], f"line {number}: {why[number]}"


@pytest.mark.parametrize("file", sorted(FILES.iterdir()), ids=lambda file: file.name)
def test_importing_twice_adds_nothing(store: Store, file: Path) -> None:
    first = take_in(store, file)
    before = store.experiences()
    again = take_in(store, file)
    assert first.imported == len(before) > 0
    assert again.imported == 0
    assert again.duplicates == first.imported + first.duplicates
    assert store.experiences() == before


def test_chatgpt_follows_the_path_that_the_user_kept() -> None:
    found, rejected = split(FILES / "conversations.json")
    assert [one.messages[-1 if follow_up(one) is None else -2]["content"] for one in found] == [
        "I am ChatGPT.",
        "Let me note that.\n\nI am Mira.",
        "A cat.",
    ]
    assert correction_turn(found[0]) == "No, your name is Mira."
    assert found[2].messages[-2]["content"] == "What is in this picture?"
    assert {one.authority for one in found} == {"user"}
    assert found[0].time.startswith("2026-03-01T09:00:00.25")
    assert "Bob" not in str(found)
    assert "save(" not in str(found)
    assert [(one.line, one.why.split()[0]) for one in rejected] == [(2, "`current_node`"), (3, "its"), (4, "no")]


def test_a_conversation_that_went_on_adds_only_what_is_new(store: Store, tmp_path: Path) -> None:
    export = json.loads((FILES / "conversations.json").read_text())[:1]
    later = tmp_path / "later.json"
    export[0]["current_node"] = "a2"
    later.write_text(json.dumps(export))
    assert take_in(store, later).imported == 2
    assert take_in(store, FILES / "conversations.json").imported == 1


def test_sage() -> None:
    found, rejected = split(FILES / "sage.json")
    assert [(one.id, one.authority, one.salience) for one in found] == [("aa01", "assistant", None)]
    assert rejected == [Rejected(2, "the response is empty")]
    graded, _ = split(FILES / "sage-exercises.jsonl")
    assert [one.outcome.tool_ok for one in graded] == [False, True, None]
    assert {(one.authority, one.outcome.correction) for one in graded} == {("tool", None)}


@pytest.mark.parametrize(
    ("name", "records"),
    [("thor-cycle-1.json", 7), ("thor-cycle-2.json", 370), ("full-851.json", 851), ("exercises.jsonl", 348)],
)
def test_the_published_buffers(store: Store, shared: Path, name: str, records: int) -> None:
    done = take_in(store, shared / "data" / "sage" / name)
    assert (done.imported, done.duplicates, done.rejected) == (records, 0, [])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (bytes(range(256)) * 50, "is a binary file"),
        (line().encode("utf-16"), "is a binary file"),
        (b"\x89PNG\r\n" + bytes([200, 150, 7]) * 300, "is a binary file"),
        (b"Dear diary,\ntoday I wrote prose.\n", "line 1: not JSON"),
        (b"[]", "no format that we know"),
        (b'[{"chat_messages": []}]', "its records have chat_messages"),
        (b'{"text": "a"}\n{"text": "b"}\n', "its records have text"),
        (b'{"messages": 1}\n', "Nothing in"),
        (json.dumps(json.loads(line()), indent=1).encode(), "line 1: not JSON"),
        (b"[" * 100_000, "no format that we know"),
    ],
)
def test_a_file_with_nothing_readable(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(ImportFailed, match=why) as raised:
        list(read(file))
    assert raised.value.hint
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_or_an_unknown_format(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ImportFailed, match="cannot be read"):
            list(read(path))
    with pytest.raises(UsageError):
        list(read(FILES / "openai.jsonl", format="word"))


def test_a_message_of_a_megabyte_is_refused_with_its_size(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join([line("x" * 1_000_000), line("x" * MAX_MESSAGE_CHARACTERS), line("small")]))
    found, rejected = split(file)
    assert len(found) == 2
    assert rejected == [Rejected(1, "message 1 has 1,000,000 characters; at most 100,000 are taken")]


def test_what_is_held_in_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_RECORD", 1000)
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join([line("a"), line("x" * 5000), line("b"), line("y" * 5000)]))
    found, rejected = split(file)
    assert [one.messages[0]["content"] for one in found] == ["a", "b"]
    assert [(one.line, one.why[:18]) for one in rejected] == [(2, "the line is longer"), (4, "the line is longer")]


def test_a_list_is_read_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = split(FILES / "conversations.json")
    for size in (1, 7, 64, 1000):
        monkeypatch.setattr(stream, "CHUNK", size)
        assert split(FILES / "conversations.json") == whole


def test_a_list_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    text = (FILES / "conversations.json").read_text()
    file = tmp_path / "a.json"
    file.write_text(text[: text.index('"title": "loop"')])
    found, rejected = split(file)
    assert len(found) == 3
    assert "cannot be read from here on" in rejected[-1].why


def test_bytes_that_are_no_utf8_spoil_one_conversation_only(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    export = json.loads((FILES / "conversations.json").read_text())[:1] * 2
    first, second = (json.dumps(one) for one in export)
    spoilt = first.replace("A cat.", "caf\xe9").encode("latin-1")
    file.write_bytes(b"[" + spoilt + b"," + second.encode() + b"]")
    found, rejected = split(file)
    assert len(found) == 3
    assert [one.line for one in rejected] == [1]


def test_an_id_given_to_a_conversation_of_several_answers(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    messages = [{"role": role, "content": role} for role in ("user", "assistant", "user", "assistant")]
    file.write_text(json.dumps({"id": "talk", "messages": messages, "outcome": {"rating": 1}}))
    found, _ = split(file)
    assert [(one.id, one.outcome.rating) for one in found] == [("talk.1", None), ("talk.2", 1.0)]


def test_the_same_words_at_another_time_are_another_experience(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    times = ["2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z", "2026-03-02T10:00:00+01:00"]
    file.write_text("\n".join(line(time=time) for time in times))
    done = take_in(store, file)
    assert (done.imported, done.duplicates) == (2, 1)
