"""The morning report: everything told, nothing executed, in the terminal and on the page."""

import dataclasses
import io
import re

import pytest
from rich.console import Console

from slowwave.night import history
from slowwave.night.report import report
from slowwave.records import Outcome
from tests.unit.night.cheap import CheapRooms, correction, slept, worse

HOSTILE = "<script>alert(1)</script> [bold]$x_{$ \x1b[31m <img src=http://evil.example/x>"


def printed(night):
    out = io.StringIO()
    Console(file=out, markup=False, width=150).print(report(night))
    return out.getvalue()


def hostile(number):
    experience = correction(number)
    messages = ({"role": "user", "content": HOSTILE}, experience.messages[1])
    return dataclasses.replace(experience, messages=messages, outcome=Outcome(-1, f"{HOSTILE} Walrus"))


def test_the_page_stands_alone_and_escapes_what_was_said(tmp_path, store):
    store.add_many([correction(1), hostile(2)])
    night = slept(tmp_path, store)
    page = (night.folder / "report.html").read_text()
    assert len(re.findall("data:image/png;base64", page)) == 4
    assert "&lt;script&gt;alert(1)" in page and "<script" not in page and "<img src=http" not in page
    assert not re.search(r"<(a|link|iframe|object|form)\b|<[^>]*(src|href)='?\"?http|@import|url\(", page)


def test_the_terminal_obeys_nothing_that_was_said(tmp_path, store):
    store.add(hostile(1))
    text = printed(slept(tmp_path, store))
    assert "\x1b" not in text and "[bold]$x_{$" in text


def test_it_says_what_training_took(tmp_path, store):
    store.add(correction(1))
    assert "Trained: 3 steps in 0 s; the version takes 0.0 MB" in printed(slept(tmp_path, store))


def test_it_says_what_was_not_learned_and_how_to_undo(tmp_path, store):
    class Half(CheapRooms):
        def train(self, scenes, earlier, **options):
            return super().train([s for s in scenes if "door 1" in s.messages[0]["content"]], earlier, **options)

    store.add_many([correction(1), correction(2)])
    night = slept(tmp_path, store, Half())
    assert night.verdict == "promoted"
    text, page = printed(night), (night.folder / "report.html").read_text()
    for told in (text, page):
        assert "1 of 2 lessons learned" in told and "What was not learned" in told and "slowwave undo 1" in told
        assert "The code is Walrus2." in told and "default@n0001" in told


@pytest.mark.parametrize(
    "rooms", [CheapRooms(panel=""), CheapRooms(fails=KeyboardInterrupt()), CheapRooms(retention=worse(drift=1.0))]
)
def test_nights_that_end_badly_have_a_report_too(tmp_path, store, rooms):
    store.add(correction(1))
    night = slept(tmp_path, store, rooms)
    assert night.reasons[-1]["text"] in (night.folder / "report.html").read_text().replace("&#x27;", "'")
    assert "default@base" in printed(night)


def test_an_undone_night_says_so(tmp_path, store):
    store.add(correction(1))
    slept(tmp_path, store)
    history.undo(tmp_path, store, "default")
    assert "undone" in printed(history.nights(tmp_path)[0])
