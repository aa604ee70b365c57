"""What was corrected is in the prompt of the next turn, and in no record."""

from __future__ import annotations

import pytest

from slowwave.config import NightSettings
from slowwave.night.waking import Waking
from tests.unit.night.test_waking import TRAM, Words
from tests.unit.serve.conftest import eventually

ASKED = {"role": "user", "content": "Which tram do I take to the office?"}
NOTE = "Your tram to the office is tram 5."


def ask(served, *messages, **options):
    return served.client().chat.completions.create(model="slowwave", messages=list(messages), user="ann", **options)


@pytest.fixture
def taught(serve, store):
    """A server that was corrected once."""
    waking = Waking(store, Words(), NightSettings(), 100)
    served = serve(waking=waking)
    answer = ask(served, ASKED).choices[0].message.content
    assert served.engine.asked[-1]["chat"] == [ASKED], "nothing is known yet"
    corrected = {"role": "user", "content": "No, my tram to the office is tram 5."}
    ask(served, ASKED, {"role": "assistant", "content": answer}, corrected)
    served.settle()
    waking.settle()
    return served


@pytest.mark.parametrize("stream", [False, True])
def test_a_correction_is_in_the_prompt_of_the_next_turn(taught, store, stream):
    answer = ask(taught, ASKED, stream=stream)
    if stream:
        list(answer)
    system, asked = taught.engine.asked[-1]["chat"]
    assert asked == ASKED
    assert system == {"role": "system", "content": f"You are a helpful assistant. Keep in mind: {NOTE}"}
    ask(taught, {"role": "user", "content": "How long do eggs boil?"})
    assert len(taught.engine.asked[-1]["chat"]) == 1
    taught.settle()
    assert not [e for e in store.experiences() if "Keep in mind" in str(e.messages)], "what is recorded was said"


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("Be brief.", f"Be brief.\n\nKeep in mind: {NOTE}"),
        ([{"type": "text", "text": "Be brief."}], f"Be brief.\nKeep in mind: {NOTE}"),
    ],
)
@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_prompt_of_the_clients_own_stays(taught, role, content, read):
    ask(taught, {"role": role, "content": content}, ASKED)
    assert taught.engine.asked[-1]["chat"] == [{"role": "system", "content": read}, ASKED]


def test_other_personas_know_nothing_of_it(taught, store):
    store.add_persona("eve")
    taught.client(**{"X-Slowwave-Persona": "eve"}).chat.completions.create(model="slowwave", messages=[ASKED])
    assert taught.engine.asked[-1]["chat"] == [ASKED]


def test_once_a_night_has_learned_it_the_prompt_is_as_it_came(taught, store):
    from slowwave.night.waking import waiting

    (lesson,) = waiting(store, "default", NightSettings())
    store.save_lesson(lesson)
    store.set_status(lesson.id, "learned", night=1)

    def forgotten() -> bool:
        ask(taught, ASKED)
        return taught.engine.asked[-1]["chat"] == [ASKED]

    eventually(forgotten)


@pytest.mark.parametrize(("upstream", "recalled"), [("", []), ("http://127.0.0.1:9/v1", [NOTE])])
def test_an_upstream_that_never_sleeps_goes_on_being_told(store, tmp_path, monkeypatch, upstream, recalled):
    from slowwave.cli import _common
    from slowwave.cli.serve import serve as command
    from slowwave.night.waking import waiting
    from slowwave.serve import app, run

    store.add(TRAM)
    (lesson,) = waiting(store, "default", NightSettings())
    store.save_lesson(lesson)
    store.set_status(lesson.id, "learned", night=1)
    made = []
    monkeypatch.setattr(_common.Session, "embedder", Words())
    monkeypatch.setattr(_common.Session, "engine", None)
    monkeypatch.setattr(app, "create_app", lambda *parts: made.extend(parts))
    monkeypatch.setattr(run, "run", lambda app, taken: None)
    command(None, 0, None, None, upstream or None, None, None, tmp_path)
    recorder, waking = made[1], made[-1]
    recorder.close()
    assert waking.recalled("default", [ASKED]) == recalled
