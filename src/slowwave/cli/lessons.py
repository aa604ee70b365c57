"""`slowwave lessons`: what the next night would learn, for a person to read, mend, approve or refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption
from slowwave.cli.experiences import score
from slowwave.plain import printable

if TYPE_CHECKING:
    from slowwave.records import Lesson, LessonStatus

app = typer.Typer(help="What is to be learned: list, show, edit, approve, refuse.", no_args_is_help=True)
Ids = Annotated[list[str], typer.Argument(help="Lesson ids, or the beginnings of some.")]
Id = Annotated[str, typer.Argument(help="A lesson's id, or the beginning of one.")]


@app.command("list")
def list_(
    status: Annotated[str | None, typer.Option("--status", help="Only proposed, approved, learned, ...")] = None,
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """All lessons with their status. New experiences are scored and turned into lessons first, as a night would."""
    from rich.table import Table

    from slowwave.night.gather import gather
    from slowwave.records import to_dict

    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    wanted = _status(status)
    session.require_persona()
    score(session)
    gather(session.store, session.persona, session.settings, {})
    found = session.store.lessons(session.persona, status=wanted)
    table = Table("id", "status", "kind", "salience", "note", box=None, pad_edge=False)
    for lesson in found:
        night = f" (night {lesson.night})" if lesson.night else ""
        table.add_row(lesson.id, lesson.status + night, lesson.kind, f"{lesson.salience:.2f}", printable(lesson.note))
    session.answer({"lessons": [to_dict(lesson) for lesson in found]}, table if found else "There are no lessons yet.")


@app.command("show")
def show(id: Id, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """One lesson with everything that is known of it."""
    session = Session(home, as_json=as_json)
    _print(session, session.store.lesson(id))


@app.command("edit")
def edit(
    id: Id,
    note: Annotated[str | None, typer.Option("--note", help="The lesson in a sentence.")] = None,
    question: Annotated[str | None, typer.Option("--question", help="The question that it answers.")] = None,
    answer: Annotated[str | None, typer.Option("--answer", help="The wanted answer, in the assistant's voice.")] = None,
    any_of: Annotated[
        list[str] | None, typer.Option("--any-of", help="A phrase that a right answer holds (repeatable).")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a lesson before a night learns it. One that was given up after some nights is due again.

    With another answer, its note and what a right answer holds become that one's, unless they were given.
    """
    import dataclasses

    from slowwave.errors import UsageError
    from slowwave.exam.match import passes
    from slowwave.night.lessons import MOST, answer_lesson, too_long

    session = Session(home, as_json=as_json)
    changes: dict[str, Any] = {"note": note, "question": question, "answer": answer}
    changes = {name: value for name, value in changes.items() if value is not None}
    if not changes and not any_of:
        raise UsageError("Nothing to change.", "Give --note, --question, --answer or --any-of.")
    if any(isinstance(value, str) and not value.strip() for value in changes.values()):
        raise UsageError("A lesson's text cannot be empty.", "To drop the lesson: slowwave lessons refuse ID")
    lesson = session.store.lesson(id)
    if lesson.status == "learned":
        raise UsageError(
            f"Lesson {lesson.id} is learned (night {lesson.night}): editing it would change no answer.",
            "Teach it anew by `slowwave teach` or a correction in `slowwave chat`, or take it back: slowwave undo",
        )
    if lesson.status == "unlearned":
        changes["status"] = "proposed"
    if any_of:
        changes["check"] = dataclasses.replace(lesson.check, any_of=tuple(any_of))
    elif answer is not None and lesson.kind in ("answer", "unknown"):
        taught = lambda question, answer: answer_lesson(  # noqa: E731
            question or "", answer or "", persona=lesson.persona, experiences=(), authority="user", salience=1.0
        )
        own = lesson.check == taught(lesson.question, lesson.answer).check
        if own or not passes(answer, lesson.check):  # what was given by hand stays where it fits
            other = taught(question or lesson.question, answer)
            changes |= {"check": other.check, "kind": other.kind}
    if answer is not None and lesson.note == lesson.answer:
        changes.setdefault("note", answer)  # what stands in the prompt until it is learned
    if too_long(dataclasses.replace(lesson, **changes)):
        raise UsageError(f"A lesson's texts have {MOST} characters at most.", "Split it: slowwave teach NOTE")
    _print(session, session.store.edit_lesson(lesson.id, **changes))


@app.command("approve")
def approve(ids: Ids, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Let the next night learn these lessons (needed where the setting night.require_approval is on)."""
    _set(Session(home, as_json=as_json), ids, "approved")


@app.command("refuse")
def refuse(ids: Ids, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Keep these lessons from ever being learned."""
    _set(Session(home, as_json=as_json), ids, "refused")


def _status(given: str | None) -> LessonStatus | None:
    from typing import cast, get_args

    from slowwave.errors import UsageError
    from slowwave.records import LessonStatus

    if given is not None and given not in get_args(LessonStatus):
        raise UsageError(f"There is no status {given!r}.", f"Use one of {', '.join(get_args(LessonStatus))}.")
    return cast("LessonStatus | None", given)


def _set(session: Session, ids: list[str], status: LessonStatus) -> None:
    from slowwave.errors import UsageError

    lessons = [session.store.lesson(id) for id in ids]  # all are found before any is changed
    for lesson in lessons:
        if lesson.status == "learned":
            raise UsageError(f"Lesson {lesson.id} is learned (night {lesson.night}).", "To take it back: slowwave undo")
    for lesson in lessons:
        session.store.set_status(lesson.id, status)
    rows = [{"id": lesson.id, "status": status} for lesson in lessons]
    session.answer({"lessons": rows}, *(f"{status}: {lesson.id}  {lesson.note}" for lesson in lessons))


def _print(session: Session, lesson: Lesson) -> None:
    from slowwave.records import to_dict

    data = to_dict(lesson)
    lines = [f"{name:>12}  {_plain(value)}" for name, value in data.items() if value not in (None, "", ())]
    session.answer({"lesson": data}, *lines)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_plain(part)}" for key, part in value.items() if part)
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
