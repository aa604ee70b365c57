"""`slowwave judge`: what was learned of what the user finds good, and how far it can be trusted."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slowwave.cli._common import HomeOption, JsonOption, PersonaOption, Session, SetOption, err, read_line
from slowwave.plain import printable

if TYPE_CHECKING:
    from slowwave.dream.judge import Judge

CANDIDATES = 200  # newest unrated answers of which some are asked about: the base reads each
_SAYS = {"g": True, "good": True, "b": False, "bad": False}


def judge(
    question: Annotated[str | None, typer.Argument(help="A question, and an answer to it, to be judged.")] = None,
    answer: Annotated[str | None, typer.Argument(help="The answer.")] = None,
    ask: Annotated[
        int, typer.Option("--ask", min=0, help="Rate so many earlier answers: those of which it is least sure.")
    ] = 0,
    persona: PersonaOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
    flags: SetOption = None,
) -> None:
    """How well the judge agrees with corrections, ratings and reviews it did not see; what it says of an answer.

    With --ask it shows earlier answers that you said nothing about, and learns from what you say of them.
    """
    from slowwave.dream.judge import FEWEST, Judge
    from slowwave.errors import UsageError
    from slowwave.night.taste import labels_of

    if (question is None) != (answer is None) or (answer is not None and not answer.strip()):
        raise UsageError("A question is judged with its answer.", 'Example: slowwave judge "Who are you?" "Mira."')
    session = Session(home, as_json=as_json, flags=flags, persona=persona)
    session.require_persona()
    labels = lambda: labels_of(session.store, session.persona, session.settings.night)  # noqa: E731
    found, rated = labels(), 0
    made = Judge(session.engine, session.embedder, found) if ask or len(found) >= FEWEST else None
    if made and ask:
        rated = _ask(session, made, ask)
        found = labels()
        made = made.again(found)
    agreed, trusted = (made.agreement, made.trusted) if made else (None, False)
    why = Counter(label.why for label in found)
    data: dict[str, Any] = {
        "labels": len(found),
        "by": dict(why),
        "agreement": asdict(agreed) if agreed else None,
        "trusted": trusted,
        **({"rated": rated} if ask else {}),
    }
    lines = [f"{rated} answers rated."] if ask else []
    lines += [f"{len(found)} labels: " + (", ".join(f"{count} by {kind}" for kind, count in why.items()) or "none yet")]
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


def _ask(session: Session, made: Judge, most: int) -> int:
    """Let the user rate up to `most` answers that nobody has rated yet. Returns how many were."""
    from slowwave.experience.follow_up import exchange
    from slowwave.night.lessons import extract
    from slowwave.night.taste import unlabelled

    new = unlabelled(session.store, session.persona, session.settings.night)[-CANDIDATES:]
    if not new:
        err().print("There is no answer that you said nothing about.")
        return 0
    pairs = [(chat, answer or "") for chat, answer in map(exchange, new)]
    err().print("Was it a good answer? g good, b bad, Enter to leave it, q to stop.")
    asks, rated, said = made.asks(pairs), 0, None
    for _ in range(min(most, len(new))):
        place = asks.send(said)
        chat, answer = pairs[place]
        err().print(printable(f"\n{chat[-1]['content']}\n  {answer}"), soft_wrap=True)
        while (line := read_line()) and line.lower() not in (*_SAYS, "q", "quit"):
            err().print("g, b, Enter or q?")
        if line is None or line.lower() in ("q", "quit"):
            break
        said = _SAYS.get(line.lower())
        if said is not None:
            outcome = replace(new[place].outcome, rating=1.0 if said else -1.0)
            asked = (*chat, {"role": "assistant", "content": answer})
            # what was asked next corrects nothing, and stands in the next turn's record
            kept = said or extract(new[place]) is not None
            session.store.amend(new[place].id, outcome=outcome, messages=None if kept else asked)
            rated += 1
    return rated
