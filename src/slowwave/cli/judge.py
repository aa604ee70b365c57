"""`slowwave judge`: what was learned of what the user finds good, and how far it can be trusted."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption


def judge(
    question: Annotated[str | None, typer.Argument(help="A question, and an answer to it, to be judged.")] = None,
    answer: Annotated[str | None, typer.Argument(help="The answer.")] = None,
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """How well the judge agrees with corrections, ratings and reviews it did not see; what it says of an answer."""
    from slowwave.dream.judge import FEWEST, Judge
    from slowwave.errors import UsageError
    from slowwave.night.taste import labels_of

    if (question is None) != (answer is None) or (answer is not None and not answer.strip()):
        raise UsageError("A question is judged with its answer.", 'Example: slowwave judge "Who are you?" "Mira."')
    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    session.require_persona()
    found = labels_of(session.store, session.persona, session.settings.night)
    made = Judge(session.engine, session.embedder, found) if len(found) >= FEWEST else None
    agreed, trusted = (made.agreement, made.trusted) if made else (None, False)
    why = Counter(label.why for label in found)
    data = {
        "labels": len(found),
        "by": dict(why),
        "agreement": asdict(agreed) if agreed else None,
        "trusted": trusted,
    }
    lines = [f"{len(found)} labels: " + (", ".join(f"{count} by {kind}" for kind, count in why.items()) or "none yet")]
    if agreed is None:
        lines.append(f"Too few to learn from: {FEWEST} are needed, good ones and bad ones among them.")
    else:
        lines.append(
            f"Agrees with {agreed.share:.0%} of labels that it did not see (95 % interval {agreed.low:.0%} to "
            f"{agreed.high:.0%}); always the commoner one would with {agreed.chance:.0%}."
        )
        lines.append(
            "It decides between answers at night." if trusted else "No better than chance: it decides nothing."
        )
    if question is not None and answer is not None:
        chance = float(made.chance([([{"role": "user", "content": question}], answer)])[0]) if made else 0.5
        data["chance"] = chance
        lines.append(f"The chance that this answer is good: {chance:.0%}.")
    session.answer(data, *lines)
