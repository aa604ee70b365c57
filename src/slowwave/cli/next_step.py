"""`slowwave` alone: what to do next, told from the state of the home. Changes nothing and needs no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slowwave.cli._common import Session


def next_step(home: Path | None, as_json: bool) -> None:
    """Say where things stand and which command comes next."""
    session = Session(home, as_json=as_json)
    state = _state(session)
    command, why = _advice(state)
    session.answer(
        {**state, "next": command, "why": why},
        f"home       {state['home']}",
        f"model      {state['model']}{'' if state['model_here'] else ' (not pulled yet)'}",
        f"lived      {state['experiences']} exchanges, {state['lessons']} lessons waiting",
        f"serving    {state['serving']}",
        f"last night {_night(state['last_night'])}",
        "",
        f"Next: {command}",
        f"      {why}",
        "",
        "All commands: slowwave --help",
    )


def _state(session: Session) -> dict[str, Any]:
    from slowwave.config import cache_folder
    from slowwave.models import zoo
    from slowwave.night import history

    stored = (session.home / "store.sqlite3").exists()  # opening the store would create it
    experiences = session.store.experiences(session.persona) if stored else []
    lessons = session.store.lessons(session.persona) if stored else []
    nights = history.nights(session.home, session.persona)
    model = session.settings.model.name
    return {
        "home": str(session.home),
        "persona": session.persona,
        "model": model,
        "model_here": any(info.name == model and info.path for info in zoo.list_models(cache_folder()))
        or Path(model).expanduser().exists(),
        "experiences": len(experiences),
        "lessons": sum(lesson.status in ("proposed", "approved") for lesson in lessons),
        "unseen": sum(experience.salience is None for experience in experiences),
        "serving": session.registry.serving(session.persona).name,
        "last_night": {"night": nights[-1].night, "verdict": nights[-1].verdict} if nights else None,
    }


def _advice(state: dict[str, Any]) -> tuple[str, str]:
    """The next command and the reason for it."""
    last = state["last_night"]
    if not state["model_here"]:
        return f"slowwave models pull {state['model']}", "The model is not on this machine yet."
    if not state["experiences"] and not state["lessons"]:
        return "slowwave chat", "Nothing was lived yet. Talk, or: slowwave import FILE, slowwave teach NOTE."
    if last is not None and last["verdict"] in ("errored", "could not run"):
        return f"slowwave show {last['night']}", f"Night {last['night']} {last['verdict']}; `slowwave doctor` may help."
    if last is not None and last["verdict"] == "unfinished":
        return "slowwave sleep", f"Night {last['night']} was interrupted; it goes on where it stopped."
    if state["lessons"] or state["unseen"]:
        return "slowwave sleep", "There is something to learn."
    return "slowwave chat", "Everything that matters was learned; live on."


def _night(last: dict[str, Any] | None) -> str:
    return "none yet" if last is None else f"{last['night']}: {last['verdict']}"
