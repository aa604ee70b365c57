"""Commands that need no model, run in process: what they print, keep and refuse."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slowwave.cli import main as cli
from slowwave.cli._common import Session
from slowwave.cli.serve import serve
from slowwave.errors import DamagedFile, UsageError
from slowwave.exam.match import passes
from slowwave.experience.store import Store
from slowwave.night.lessons import from_note
from slowwave.records import Experience, Outcome, Salience

SALIENCE = Salience(0.9, 0.8, 0.7, 0.6, 0.5, 0.7, -1.0, {"surprise": "It cost 6.1 nats a token."})
LIVED = Experience(
    id="e1",
    persona="default",
    source="user:ann",
    time="2026-03-01T09:00:00Z",
    messages=({"role": "user", "content": "What [red] is your name?"}, {"role": "assistant", "content": "SmolLM."}),
    outcome=Outcome(rating=-1, correction="I'm Mira."),
    authority="user",
    salience=SALIENCE,
)


@pytest.fixture
def slowwave(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `slowwave ARGUMENTS`; returns its exit status, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["slowwave", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home)


def test_experiences_shows_numbers_and_reasons(slowwave: Any, store: Store) -> None:
    store.add(LIVED)
    code, out, _ = slowwave("experiences", "show", "e1")
    assert code == 0
    assert "0.90  surprise  It cost 6.1 nats a token." in out
    assert "[red]" in out  # text is never taken for markup
    assert "is chosen" in out


@pytest.mark.parametrize(("threshold", "chosen"), [("0.69", True), ("0.71", False)])
def test_threshold_is_live(threshold: str, chosen: bool, slowwave: Any, store: Store) -> None:
    store.add(LIVED)
    _, out, _ = slowwave("experiences", "list", "--threshold", threshold, "--json")
    assert [row["chosen"] for row in json.loads(out)["experiences"]] == [chosen]


def test_import_reports_broken_lines_and_takes_the_rest(slowwave: Any, tmp_path: Path, store: Store) -> None:
    good = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    (tmp_path / "in.jsonl").write_text(f"{json.dumps(good)}\nnot json\n")
    code, out, err = slowwave("import", str(tmp_path / "in.jsonl"))
    assert (code, "1 imported" in out, "line 2: not JSON" in err) == (0, True, True)
    _, out, _ = slowwave("import", str(tmp_path / "in.jsonl"), "--json")
    again = json.loads(out)
    assert (again["imported"], again["duplicates"], again["rejected"][0]["line"]) == (0, 1, 2)


def test_teach_and_the_life_of_a_lesson(slowwave: Any, store: Store) -> None:
    _, out, _ = slowwave("teach", "My dog is called Biscuit.", "--json")
    lesson = json.loads(out)["lesson"]
    assert slowwave("lessons", "edit", lesson["id"], "--answer", "Your dog is Biscuit.", "--any-of", "Biscuit")[0] == 0
    assert slowwave("lessons", "approve", lesson["id"][:8])[0] == 0
    _, out, _ = slowwave("lessons", "list", "--json")
    (held,) = json.loads(out)["lessons"]
    assert (held["answer"], held["check"]["any_of"], held["status"]) == (
        "Your dog is Biscuit.",
        ["Biscuit"],
        "approved",
    )
    assert slowwave("lessons", "refuse", lesson["id"])[0] == 0
    assert store.lesson(lesson["id"]).status == "refused"


def test_with_another_answer_goes_what_the_prompt_and_the_exam_say(slowwave: Any, store: Store) -> None:
    store.save_lesson(from_note("My dog is called Biscuit.", "default"))
    (lesson,) = store.lessons("default")
    edited = lambda *options: slowwave("lessons", "edit", lesson.id, *options)[0] == 0 and store.lesson(lesson.id)  # noqa: E731
    held = edited("--answer", "Your dog is called Rex.")
    assert (held.note, held.kind) == ("Your dog is called Rex.", "answer")
    assert passes("It is Rex.", held.check) and not passes("It is Biscuit.", held.check)
    held = edited("--answer", "Your dog is Rex the Great.")
    held = edited("--answer", "Your dog is Rex the Small.")
    assert held.check.any_of == ("rex", "small"), "though the old one fits, as both have a word in common"
    held = edited("--answer", "I don't know what your dog is called.")
    assert held.kind == "unknown" and passes("I don't know.", held.check)
    held = edited("--answer", "Your dog is Tom.", "--note", "The dog is Tom.", "--any-of", "Tom")
    assert (held.note, held.check.any_of) == ("The dog is Tom.", ("Tom",))
    held = edited("--answer", "Tom is its name.")
    assert (held.note, held.check.any_of) == ("The dog is Tom.", ("Tom",)), "both were given, and fit"


def test_lessons_list_proposes_what_is_salient(slowwave: Any, store: Store) -> None:
    store.add(LIVED)
    store.add(replace(LIVED, id="e2", outcome=Outcome(correction="I'm Tom."), salience=replace(SALIENCE, total=0.1)))
    _, out, _ = slowwave("lessons", "list", "--json")
    assert [lesson["experiences"] for lesson in json.loads(out)["lessons"]] == [["e1"]]


def test_learned_lesson_cannot_be_refused(slowwave: Any, store: Store) -> None:
    lesson = from_note("My dog is called Biscuit.", "default")
    store.save_lesson(lesson)
    store.set_status(lesson.id, "learned", night=1)
    code, _, err = slowwave("lessons", "refuse", lesson.id)
    assert (code, "slowwave undo" in err) == (2, True)
    assert store.lesson(lesson.id).status == "learned"


def test_a_lesson_cannot_be_edited_into_one_that_no_night_takes(slowwave: Any, store: Store) -> None:
    lesson = from_note("My dog is called Biscuit.", "default")
    store.save_lesson(lesson)
    code, _, err = slowwave("lessons", "edit", lesson.id, "--answer", "very " * 500)
    assert (code, "2000 characters" in err) == (2, True)
    assert store.lesson(lesson.id) == lesson


def test_what_is_learned_already_is_not_taught_anew(slowwave: Any, store: Store) -> None:
    lesson = replace(from_note("My dog is called Biscuit.", "default"), status="learned", night=3, experiences=())
    store.save_lesson(lesson)
    code, out, _ = slowwave("teach", "My dog is called Biscuit.")
    assert (code, "night 3 already" in out) == (0, True)
    assert store.lesson(lesson.id) == lesson


def test_what_a_later_night_learned_otherwise_is_taught_anew(slowwave: Any, store: Store) -> None:
    for night, name in enumerate(("Biscuit", "Rex"), 1):
        lesson = from_note(f"My dog is called {name}.", "default")
        store.save_lesson(lesson)
        store.set_status(lesson.id, "learned", night=night)
    code, out, _ = slowwave("teach", "My dog is called Biscuit.")
    assert code == 0 and "next `slowwave sleep` learns it" in out
    code, out, _ = slowwave("teach", "My dog is called Rex.")
    assert code == 0 and "night 2 already" in out


def test_learned_lesson_cannot_be_edited(slowwave: Any, store: Store) -> None:
    lesson = replace(from_note("My dog is called Biscuit.", "default"), status="learned", night=1)
    store.save_lesson(lesson)
    code, _, err = slowwave("lessons", "edit", lesson.id, "--answer", "Your dog is Rex.")
    assert (code, "slowwave teach" in err, "slowwave undo" in err) == (2, True, True)
    assert store.lesson(lesson.id) == lesson


@pytest.mark.parametrize(("before", "after"), [("unlearned", "proposed"), ("approved", "approved")])
def test_edited_lesson_that_was_given_up_is_due_again(before: Any, after: str, slowwave: Any, store: Store) -> None:
    lesson = replace(from_note("My dog is called Biscuit.", "default"), status=before)
    store.save_lesson(lesson)
    assert slowwave("lessons", "edit", lesson.id[:8], "--any-of", "Rex")[0] == 0
    held = store.lesson(lesson.id)
    assert (held.status, held.check.any_of) == (after, ("Rex",))


def test_new_persona_is_told_once(slowwave: Any, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    (tmp_path / "in.jsonl").write_text(json.dumps(good))
    monkeypatch.setattr("slowwave.cli._common.Session.engine", None)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    for verb in (("chat",), ("teach", "My dog is called Biscuit."), ("import", str(tmp_path / "in.jsonl"))):
        persona = f"misspelt-{verb[0]}"
        new, known, named, default = (
            slowwave(*verb, *more)
            for more in (
                ("--persona", persona),
                ("--persona", "default"),
                ("--set", "night.persona=ann"),
                (),
            )
        )
        assert [done[0] for done in (new, known, named, default)] == [0, 0, 0, 0]
        assert f"'{persona}' begins as a new persona. There is: " in new[2]
        assert "default" in new[2]
        assert not any("new persona" in done[2] for done in (known, named, default))
    assert "misspelt-teach" in store.personas()
    assert "new persona" not in slowwave("teach", "I like tea.", "--persona", "misspelt-teach")[2]


def test_persona_that_cannot_be_is_refused_before_anything_is_told(slowwave: Any, store: Store) -> None:
    code, _, err = slowwave("chat", "--persona", "../up")
    assert (code, "is not a persona's name" in err, "begins" in err) == (2, True, False)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("lessons", "show", "nothing"), 1, "no lesson 'nothing'"),
        (("lessons", "list", "--status", "great"), 2, "no status 'great'"),
        (("experiences", "show", "nothing"), 1, "no experience 'nothing'"),
        (("experiences", "list", "--persona", "nobody"), 1, "no persona 'nobody'"),
        (("teach", "  "), 2, "nothing to teach"),
        (("ask",), 2, "a question or --file"),
        (("ask", "a", "--file", "b"), 2, "a question or --file"),
        (("ask", "--file", "/nowhere"), 1, "no file"),
        (("show", "7"), 1, "no night 7"),
        (("undo",), 1, "no night to undo"),
        (("import", "/nowhere.jsonl"), 1, "cannot be read"),
        (("import", "/dev/null"), 1, "is empty"),
        (("nights", "--set", "lern.lr=1"), 2, "no setting 'lern.lr'"),
        (("--home", "/tmp/x", "nights"), 2, "come after 'nights'"),
    ],
)
def test_wrong_input_is_told_in_one_line(arguments: tuple[str, ...], status: int, says: str, slowwave: Any) -> None:
    code, out, err = slowwave(*arguments)
    assert code == status
    assert out == ""
    assert says in err
    assert "Traceback" not in err


def test_alone_it_says_what_comes_next(
    slowwave: Any, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def next_command() -> str:
        code, out, _ = slowwave("--json")
        assert code == 0
        return json.loads(out)["next"]

    monkeypatch.setenv("SLOWWAVE_CACHE", str(tmp_path / "cache"))
    assert next_command().startswith("slowwave models pull")
    (tmp_path / "cache" / "models" / "smollm2-135m-instruct").mkdir(parents=True)
    assert next_command() == "slowwave chat"
    slowwave("teach", "My dog is called Biscuit.")
    assert next_command() == "slowwave sleep"
    store.set_status(store.lessons("default")[0].id, "unlearned")  # given up: another sleep would do nothing
    assert next_command() == "slowwave chat"


def test_doctor_cannot_be_made_to_steer_the_terminal(slowwave: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_: Any) -> str:
        raise DamagedFile("It says \x1b[2J.", "Mend \x1b[2J it.")

    for check in ("python", "torch", "disk", "memory", "model", "embedder", "store", "versions", "sleep"):
        monkeypatch.setattr(f"slowwave.cli.doctor._{check}", damaged)
    code, out, _ = slowwave("doctor")
    assert (code, "It says" in out, "Mend" in out, "\x1b[2J" in out) == (1, True, True, False)


def test_first_night_refuses_a_home_with_a_life_of_its_own(slowwave: Any, store: Store, home: Path) -> None:
    store.add(LIVED)
    code, _, err = slowwave("first-night", "--home", str(home))
    assert (code, "a life of its own" in err) == (2, True)
    assert [experience.id for experience in store.experiences()] == ["e1"]


@pytest.mark.parametrize("upstream", [True, False])
def test_behind_an_upstream_what_was_learned_stays_in_the_prompt(tmp_path, monkeypatch, upstream):
    wished = []

    def waking(session, learned=False):
        wished.append(learned)
        raise UsageError("stop here")

    monkeypatch.setattr(Session, "waking", waking)
    monkeypatch.setattr(Session, "engine", None)
    with pytest.raises(UsageError, match="stop here"):
        serve(home=tmp_path, port=0, upstream="http://127.0.0.1:9/v1" if upstream else None)
    assert wished == [upstream]
