"""`slowwave nights`: every night with its verdict, and what is served now."""

from __future__ import annotations

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption


def nights(
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """The nights so far, and the version that is served."""
    from rich.table import Table

    from slowwave.night import history

    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    data = history.nights_json(session.home, session.registry, session.require_persona())
    table = Table("night", "began", "verdict", "lessons", "seconds", "made", box=None, pad_edge=False)
    for night in data["nights"]:
        learned = sum(lesson["outcome"] == "learned" for lesson in night["lessons"])
        verdict = f"{night['verdict']} (undone)" if night["undone"] else night["verdict"]
        lessons = f"{learned} of {len(night['lessons'])} learned" if night["lessons"] else ""
        table.add_row(
            str(night["night"]),
            night["started"][:16].replace("T", " "),
            verdict,
            lessons,
            f"{night['seconds']:.0f}",
            night["adapter"] or "",
        )
    session.answer(data, *([table, ""] if data["nights"] else ["No night yet."]), f"serving {data['serving']}")
