"""`slowwave chat`: a conversation in the terminal. Every exchange is recorded, with what the user makes of it."""

from __future__ import annotations

import getpass
import sys
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from slowwave.cli._common import HomeOption, PersonaOption, Session, SetOption, err, read_line
from slowwave.plain import printable

if TYPE_CHECKING:
    from slowwave.night.waking import Waking
    from slowwave.records import Experience, Message

HELP = "/good  /bad  /correct THE RIGHT ANSWER  /new (forget this conversation)  /quit"
MAX_NEW_TOKENS = 256


def chat(persona: PersonaOption = None, home: HomeOption = None, flags: SetOption = None) -> None:
    """Talk with the assistant. What you correct is learned at the next sleep."""
    import readline  # noqa: F401  # gives input() its arrow keys and its history

    from slowwave.night.waking import with_notes

    session = Session(home, flags=flags, persona=persona)
    session.greet_persona()
    version, adapter = session.served()
    engine, waking = session.engine, session.waking()
    err().print(f"{version} answers. {HELP}")
    talk: list[Message] = []
    last: Experience | None = None
    with closing(waking) if waking else nullcontext():
        while (line := read_line()) is not None:
            verb, _, text = line.partition(" ")
            if verb == "/quit":
                break
            if verb == "/new":
                talk, last = [], None
            elif verb in ("/good", "/bad", "/correct"):
                last = _judge(session, last, verb, text.strip())
                if waking:
                    waking.soon(session.persona)
            elif verb.startswith("/"):
                err().print(HELP)
            elif line:
                talk.append({"role": "user", "content": line})
                with engine.using(adapter):
                    notes = _recalled(waking, session.persona, talk)
                    talk.append({"role": "assistant", "content": _say(session, with_notes(talk, notes))})
                last = _record(session, talk, last, version)
                if waking:
                    waking.soon(session.persona)


def _recalled(waking: Waking | None, persona: str, talk: list[Message]) -> list[str]:
    """What belongs into the prompt, the turn before included: it was linked while the user typed."""
    if waking is None:
        return []
    waking.settle()
    return waking.recalled(persona, talk)


def _say(session: Session, talk: list[Message]) -> str:
    """Print the answer as it comes; returns it whole."""
    text = ""
    for piece in session.engine.stream(talk, max_new_tokens=MAX_NEW_TOKENS):
        if isinstance(piece, str):
            sys.stdout.write(printable(piece))
            sys.stdout.flush()
            continue
        text = piece.text
    sys.stdout.write("\n")
    return text


def _record(session: Session, talk: list[Message], last: Experience | None, version: str) -> Experience:
    """Store the exchange, and tell the one before it what the user said next."""
    from slowwave.experience.authority import authority_of
    from slowwave.experience.rows import now
    from slowwave.records import Experience, new_id

    if last is not None:
        session.store.amend(last.id, outcome=last.outcome, messages=[*last.messages, talk[-2]])
    source, time = f"user:{getpass.getuser()}", now()
    experience = Experience(
        id=new_id("chat", session.persona, time, talk),
        persona=session.persona,
        source=source,
        time=time,
        messages=tuple(talk),
        authority=authority_of(source),
        adapter=version,
    )
    session.store.add(experience)
    return experience


def _judge(session: Session, last: Experience | None, verb: str, text: str) -> Experience | None:
    """Keep what the user thinks of the last answer."""
    if last is None:
        err().print("There is no answer to judge yet.")
        return None
    if verb == "/correct" and not text:
        err().print("Write the right answer behind it: /correct I'm Mira, your assistant.")
        return last
    rating = 1.0 if verb == "/good" else -1.0
    outcome = replace(last.outcome, rating=rating, correction=text or last.outcome.correction)
    session.store.amend(last.id, outcome=outcome)
    err().print("noted" if verb != "/correct" else "noted; kept in mind until the next sleep learns it")
    return replace(last, outcome=outcome)
