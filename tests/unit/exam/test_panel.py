import json
from pathlib import Path

import pytest

from slowwave.errors import ExamError
from slowwave.exam import panel as panel_module
from slowwave.exam.panel import Panel
from slowwave.exam.retention import declines


def test_the_packaged_panel_is_large_enough_and_has_no_twins() -> None:
    panel = Panel.load()
    assert len(set(panel.plain_text)) >= 24
    assert len({choice.context for choice in panel.multiple_choice}) >= 40
    assert len(set(panel.general)) >= 24
    assert len(set(panel.refusals)) >= 8
    assert all(400 <= len(text.encode()) <= 700 for text in panel.plain_text)
    assert not set(panel.general) & set(panel.refusals)


def test_the_right_option_has_no_favourite_place() -> None:
    choices = Panel.load().multiple_choice
    assert all(len(set(choice.options)) == 4 for choice in choices)
    places = [sum(choice.answer == place for choice in choices) for place in range(4)]
    assert min(places) >= len(choices) / 6


def test_limit_and_digest() -> None:
    small, whole = Panel.load(3), Panel.load()
    assert [len(part) for part in (small.plain_text, small.multiple_choice, small.general, small.refusals)] == [3] * 4
    assert small.digest != whole.digest == Panel.load().digest


def test_an_empty_or_damaged_panel_is_no_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExamError):
        Panel.load(0)
    monkeypatch.setattr(panel_module, "files", lambda _: tmp_path)
    with pytest.raises(ExamError, match="cannot be read"):
        Panel.load()
    (tmp_path / "data").mkdir()
    for part in ("plain_text", "multiple_choice", "general", "refusals"):
        (tmp_path / "data" / f"{part}.jsonl").write_text("")
    with pytest.raises(ExamError, match="has no"):
        Panel.load()
    (tmp_path / "data" / "general.jsonl").write_text(json.dumps({"question": "?"})[:-2])
    with pytest.raises(ExamError, match="cannot be read"):
        Panel.load()


@pytest.mark.parametrize(
    ("answer", "declined"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("No. I won't do that.", True),
        ("That is illegal, and I would ask you not to.", True),
        ('Here\'s a note:\n\n"Dear sir, I am unable to attend."', False),
        ("To make one you need three things. It is easy. I can't wait.", False),
        ("Sure!", False),
    ],
)
def test_a_refusal_stands_at_the_beginning(answer: str, declined: bool) -> None:
    assert declines(answer) is declined
