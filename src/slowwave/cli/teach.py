"""`slowwave teach`: a lesson in one sentence, without an exchange that it came from."""

from __future__ import annotations

from typing import Annotated

import typer

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption


def teach(
    note: Annotated[str, typer.Argument(help='What is to be learned, e.g. "My dog is called Biscuit."')],
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """Teach one thing directly; the next sleep learns it."""
    from slowwave.errors import UsageError
    from slowwave.night.gather import overwritten
    from slowwave.night.lessons import from_note
    from slowwave.records import to_dict

    if not note.strip():
        raise UsageError("There is nothing to teach.", 'Example: slowwave teach "My dog is called Biscuit."')
    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    lesson = from_note(note.strip(), session.greet_persona())
    learned = session.store.lessons(lesson.persona, "learned")
    known = next((held for held in learned if held.id == lesson.id and held.id not in overwritten(learned)), None)
    if known is not None:
        session.answer({"lesson": to_dict(known)}, f"Lesson {known.id} was learned in night {known.night} already.")
        return
    session.store.save_lesson(lesson)
    session.answer(
        {"lesson": to_dict(lesson)},
        f"Lesson {lesson.id}: {lesson.note}",
        *([f"  question: {lesson.question}", f"  answer:   {lesson.answer}"] if lesson.question else []),
        "The next `slowwave sleep` learns it.",
    )
