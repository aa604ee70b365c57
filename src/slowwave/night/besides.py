"""What a morning report says besides verdict and lessons: the dreams, what converged, the prompt, the judge."""

from __future__ import annotations

from typing import Any

from slowwave.night import folder as files
from slowwave.night.folder import NightFolder


def besides(night: NightFolder) -> dict[str, str]:
    """A sentence about each of them of which the night's folder knows something."""
    told = {
        "Dreams": _dreams(night.read(files.DREAMS)) if night.has(files.DREAMS) else "",
        "Rounds": _rounds(night) if night.has(files.EXAM) else "",
        "Prompt": _left(night.read(files.PROMPT)) if night.has(files.PROMPT) else "",
        "Judge": _judge(night) if night.has(files.JUDGE) else "",
    }
    return {about: text for about, text in told.items() if text}


def _dreams(dreams: dict[str, Any]) -> str:
    diverse = dreams["diversity"]
    parts = [f"{dreams['scenes']} scenes", _written(dreams["spent"])]
    if diverse:
        again = ", dreamt once more as the first were too much alike" if dreams["again"] else ""
        again += ", and these still are" if dreams.get("poor") else ""
        parts.append(f"{diverse['distinct']:.0%} of word pairs are new, spread {diverse['spread']:.2f}{again}")
    if dreams.get("judged"):
        parts.append(_judged(dreams["judged"], "wordings"))
    return "; ".join(parts) + "."


def _written(spent: dict[str, Any], how: str = "") -> str:
    """What the dreamer wrote and what that took."""
    told = f"{spent['tokens']} tokens were written{how} in {spent['seconds']:.0f} s"
    return told + (f"; no more was written: {spent['stopped'].rstrip('.')}" if spent["stopped"] else "")


def _judged(told: dict[str, Any], what: str) -> str:
    """What a model with a rubric made of scenes or answers."""
    neither = f", and said neither yes nor no to {told['open']}" if told["open"] else ""
    more = f"; it judged no more: {told['stopped'].rstrip('.')}" if told["stopped"] else ""
    return f"of {told['asked']} {what} a model with a rubric refused {told['refused']}{neither}{more}"


def _rounds(night: NightFolder) -> str:
    """Which lessons' old reflex fired on none of enough novel scenes, in a night of rounds."""
    training = night.read(files.EXAM)["training"]
    converged = training.get("converged")
    if converged is None:
        return ""
    lessons = night.read(files.LESSONS)["lessons"]
    retried = set(night.read(files.DREAMS).get("retried", [])) if night.has(files.DREAMS) else set()
    open_ = [row["note"] for row in lessons if row["id"] not in converged]
    done = f"{len(lessons) - len(open_)} of {len(lessons)} lessons converged"
    if (judged := training.get("judged")) and (judged["asked"] or judged["stopped"]):
        done += f"; {_judged(judged, 'answers')}"
    if (written := training.get("written")) and (written["tokens"] or written["stopped"]):
        done += f"; {_written(written, ' anew between rounds')}"
    if retried:
        done += f"; of {len(retried)} earlier ones that were taught once more {len(retried & set(converged))}"
    if not open_:
        return f"{done}."
    named = "; ".join(open_[:5]) + (f"; and {len(open_) - 5} more" if len(open_) > 5 else "")
    tried = "They are tried again with more scenes, the learned ones beside other lessons, up to night.attempts times."
    return f"{done}. Not: {named} {tried}"


def _left(prompt: dict[str, Any]) -> str:
    return (
        f"{prompt['lessons']} lessons are in the weights and left the prompt, which is {prompt['tokens_a_turn']:.1f} "
        f"tokens a turn shorter (newest {prompt['turns']} turns)."
    )


def _judge(night: NightFolder) -> str:
    """It is asked of lessons that came without an answer, and between rounds, and only where it can be trusted."""
    agreement, lessons = night.read(files.JUDGE), night.read(files.LESSONS)["lessons"]
    told = "no better than chance, so it decided nothing"
    if agreement["trusted"]:
        bare = sum(row["answer"] is None and row["kind"] != "cue" for row in lessons)
        told = f"so it may choose the answers of lessons that came without one ({bare} of {len(lessons)} tonight)"
        liked = night.has(files.EXAM) and night.read(files.EXAM)["training"].get("liked")
        told += ", and chose among good answers between rounds" if liked else ""
    return (
        f"The judge agrees with {agreement['share']:.0%} of {agreement['labels']} labels that it did not see (always "
        f"the commoner one: {agreement['chance']:.0%}), {told}."
    )
