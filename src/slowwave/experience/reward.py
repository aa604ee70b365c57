"""Reward: how strongly an answer was judged, in [0, 1], and valence: the judgement's sign and size in [-1, 1]."""

from __future__ import annotations

from slowwave.experience.follow_up import correction_turn, follow_up, is_approval, last_words, lays_down_rule
from slowwave.records import Experience

CORRECTED = -0.8  # a correction says as much as a bad rating, but may be a refinement
APPROVED = 0.6  # "thanks" is also politeness
INSTRUCTED = 1.0  # a rule for later answers is meant to be learned, whatever this answer was worth
TOOL = 0.5  # a tool's success is a sign of a good answer, and of other things


def reward(experience: Experience) -> tuple[float, float, str]:
    """Reward, valence and why. What the user said in so many words counts before what a tool reported.

    The reward is the size of the valence, except for a rule laid down: that judges no answer, but matters as much.
    """
    outcome, said = experience.outcome, follow_up(experience)
    if outcome.rating is not None and outcome.rating != 0:
        corrected = " and corrected it" if outcome.correction or correction_turn(experience) else ""
        valence, why = outcome.rating, f"The user rated the answer {outcome.rating:+.1f}{corrected}."
        if corrected and valence < 0:
            valence = min(valence, CORRECTED)
    elif outcome.correction or correction_turn(experience):
        valence, why = CORRECTED, "The user corrected the answer."
    elif said is not None and is_approval(said):
        valence, why = APPROVED, "The user approved of the answer."
    elif outcome.tool_ok is not None:
        valence, why = (TOOL, "The tool succeeded.") if outcome.tool_ok else (-TOOL, "The tool failed.")
    else:
        valence, why = 0.0, "Nobody judged the answer."
    if lays_down_rule(last_words(experience)):
        return INSTRUCTED, valence, f"{why} The user laid down a rule for later answers."
    return abs(valence), valence, why
