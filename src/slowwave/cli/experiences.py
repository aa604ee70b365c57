"""`slowwave experiences`: what was lived, how much each moment matters, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption
from slowwave.cli._progress import phases
from slowwave.plain import printable

if TYPE_CHECKING:
    from rich.table import Table

    from slowwave.records import Experience

app = typer.Typer(help="What was lived, with its salience: list, show, erase.", no_args_is_help=True)
FIVE = ("surprise", "novelty", "arousal", "reward", "conflict")


@app.command("list")
def list_(
    threshold: Annotated[
        float | None, typer.Option("--threshold", min=0, max=1, help="Try another threshold; nothing is kept of it.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 50,
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """The newest experiences with SNARC salience; what has none yet is scored first."""
    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    session.require_persona()
    score(session)
    bar = in_force(session) if threshold is None else threshold
    found = session.store.experiences(session.persona, limit=limit)
    session.answer(
        {"experiences": [_row(experience, bar) for experience in found], "threshold": bar},
        *([table(found, bar), _legend(found, bar)] if found else ["Nothing was lived yet."]),
    )


@app.command("show")
def show(
    id: Annotated[str, typer.Argument(help="An experience's id, or the beginning of one.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """One experience: the exchange, and each of the five numbers with its reason."""
    from slowwave.records import to_dict

    session = Session(home, as_json=as_json, flags=flags)
    experience = session.store.experience(id)
    session.persona = experience.persona
    if experience.salience is None:
        score(session)
        experience = session.store.experience(id)
    lines = [f"{experience.id}  {experience.time}  {experience.source} ({experience.authority})", ""]
    lines += [f"{message['role']:>10}  {message['content']}" for message in experience.messages]
    outcome = {name: value for name, value in to_dict(experience.outcome).items() if value is not None}
    lines += [f"{name:>10}  {value}" for name, value in outcome.items()] + [""]
    if salience := experience.salience:
        lines += [f"{getattr(salience, name):.2f}  {name:<9} {salience.reasons.get(name, '')}" for name in FIVE]
        bar = in_force(session)
        chosen = "is chosen" if salience.total >= bar else "is not chosen"
        lines += [f"{salience.total:.2f}  total     with a threshold of {bar:.2f} it {chosen}"]
    session.answer({"experience": to_dict(experience)}, *lines)


@app.command("erase")
def erase(
    id: Annotated[str, typer.Argument(help="An experience's id, or the beginning of one.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove an experience for good, with the lessons that came from it alone and its part of the memory graph."""
    from slowwave.night import erasing
    from slowwave.night.lease import Lease
    from slowwave.night.past import nights_with
    from slowwave.records import to_dict

    session = Session(home, as_json=as_json)
    experience = session.store.experience(id)
    whole = experience.id
    with Lease(session.home):  # no night may be dreaming of it
        erased = erasing.erase(session.store, experience)
    gone, nights = erased.whole, nights_with(session.home, whole)
    learned = [lesson for lesson in gone.lessons if lesson.status == "learned"]
    session.answer(
        {
            "erased": whole,
            "lessons": [to_dict(o) for o in gone.lessons],
            "nodes": gone.nodes,
            "nights": nights,
            "holding": erased.holding,
        },
        f"Erased: {whole}, {len(gone.lessons)} lessons, {gone.nodes} nodes of the memory graph.",
        *(f"Night {lesson.night} learned it; `slowwave undo {lesson.night}` takes that back." for lesson in learned),
        *(f"{one} holds its words, too (another turn of its conversation, say)." for one in erased.holding),
        *([f"Its words stay in the folders of nights {', '.join(map(str, nights))}."] if nights else []),
    )


def score(session: Session) -> None:
    """Give every new experience its salience. Needs the model, and loads it only if there is something to score."""
    from slowwave.experience.scoring import score_unscored

    if not session.store.unscored(session.persona):
        return
    engine, embedder = session.engine, session.embedder
    with phases() as progress:
        score_unscored(
            session.store,
            session.persona,
            engine,
            embedder,
            session.settings.salience,
            lambda done, of: progress("salience", done, of),
        )


def in_force(session: Session) -> float:
    """The threshold as the next night will apply it: what became a lesson no longer fills the buffer."""
    from slowwave.experience.salience import threshold

    known = {id for lesson in session.store.lessons(session.persona) for id in lesson.experiences}
    lived = session.store.experiences(session.persona)
    return threshold(session.settings.salience, [e.salience.total for e in lived if e.salience and e.id not in known])


def table(found: list[Experience], bar: float) -> Table:
    """One line an experience: the five numbers, the total, and the question."""
    from rich.table import Table

    rows = Table("", "id", *(name[0].upper() for name in FIVE), "total", box=None, pad_edge=False, expand=True)
    rows.add_column("what the user said", ratio=1, no_wrap=True, overflow="ellipsis")
    for experience in found:
        salience = experience.salience
        numbers = [f"{getattr(salience, name):.2f}" if salience else "-" for name in (*FIVE, "total")]
        chosen = "*" if salience and salience.total >= bar else ""
        rows.add_row(chosen, experience.id[:12], *numbers, _gist(experience))
    return rows


def _legend(found: list[Experience], bar: float) -> str:
    chosen = sum(e.salience is not None and e.salience.total >= bar for e in found)
    return f"\n{', '.join(f'{name[0].upper()} {name}' for name in FIVE)}; * {chosen} of {len(found)} reach {bar:.2f}."


def _gist(experience: Experience) -> str:
    """What the user said last; behind it the correction."""
    said = [message["content"] for message in experience.messages if message["role"] == "user"]
    better = f" -> {experience.outcome.correction}" if experience.outcome.correction else ""
    return printable(" ".join(f"{said[-1] if said else ''}{better}".split())[:200])


def _row(experience: Experience, bar: float) -> dict[str, Any]:
    from slowwave.records import to_dict

    chosen = experience.salience is not None and experience.salience.total >= bar
    return {**to_dict(experience), "chosen": chosen}
