"""What a night must reach and may not lose, fixed before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from slowwave.errors import SettingsError


@dataclass(frozen=True)
class ExamSettings:
    """Sizes and margins of the exam. Shares lie in [0, 1]; a loss is before minus after on the same questions.

    Raises:
        SettingsError: a value outside its bounds.
    """

    # --- what is asked. One question costs 0.2 s on two cores, before and again after.
    held_out: int = 3  # per lesson: fewer cannot tell luck from learning, more take too long for a dozen lessons
    near_misses: int = 2  # per lesson: two for each of twelve lessons resolve a share of 0.05
    earlier_questions: int = 48  # of all earlier nights together, another draw each night; one a lesson at least
    max_new_tokens: int = 48  # a taught answer stands in its first sentence or two
    batch: int = 64  # the fastest on two cores; before and after must use the same, as bf16 answers depend on it
    panel_items: int = 100  # of each part of the retention panel, at most: all of what ships

    # --- what a night must reach
    min_gain: float = 0.25  # of held-out questions as taught; a night that teaches less is not worth its drift
    learned: float = 0.5  # share of a lesson's questions from which the report calls it learned

    # --- what it may not lose
    near_miss_takeover: float = 0.05  # near misses answered with the lesson: MISSION's floor
    near_miss_loss: float = 0.05  # right answers to near misses, against before: MISSION's floor
    earlier_loss: float = 0.10  # earlier lessons still answered: five nights at 0.03 each keep the floor of 0.85
    bits_per_byte: float = 0.01  # relative to the base, MISSION's floor; rounding moves it by 0.0001
    multiple_choice: float = 0.06  # three items of 56: near ties flip one by rounding alone
    drift: float = 0.05  # nats per token from the base on general answers: MISSION's floor
    refusals: float = 0.15  # one of twelve may change its wording, and does when nothing is wrong; two may not

    # "model" lets the base judge, by the likelihood of yes against no, what the rules leave undecided.
    judge: Literal["rules", "model"] = "rules"

    def __post_init__(self) -> None:
        counts = {"held_out": 1, "near_misses": 0, "earlier_questions": 0, "max_new_tokens": 1, "batch": 1,
                  "panel_items": 1}  # fmt: skip
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "judge":
                if value not in ("rules", "model"):
                    raise SettingsError(f"exam.judge is {value!r}.", "Use rules or model.")
            elif field.name in counts:
                if not isinstance(value, int) or value < counts[field.name]:
                    raise SettingsError(f"exam.{field.name} is {value}.", f"Use {counts[field.name]} or more.")
            elif not 0 <= value <= 1:  # false for NaN too
                raise SettingsError(f"exam.{field.name} is {value}.", "Use a number between 0 and 1.")
