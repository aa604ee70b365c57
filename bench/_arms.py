"""Arms of the benchmark that are ours: a preset or five nights, and single settings of it ("full optimizer=apollo")."""

from __future__ import annotations

import json
from typing import Any

from slowwave.learn.settings import LearnSettings, preset

PRESETS = ("adapter", "full", "gentle")
FIVE = "nights"  # five in a row, with the preset adapter
EXPORT = ", low-rank export"  # what `full` is measured as a second time


def is_ours(arm: str) -> bool:
    """Whether the arm is one night of ours, and no base, peer or clock."""
    return arm.split(" ")[0] in PRESETS


def is_five(arm: str) -> bool:
    """Whether the arm is five nights of ours."""
    return arm.split(" ")[0] == FIVE


def settings(arm: str) -> LearnSettings:
    """What the arm trains with.

    Raises:
        ValueError: a change without a value, or of a setting that there is not.
        SettingsError: a value outside its bounds.
    """
    name, *changes = arm.split()
    name = "adapter" if name == FIVE else name
    wished: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or key not in LearnSettings.__dataclass_fields__:
            raise ValueError(f"{arm!r}: {change!r} is no setting of learn with a value.")
        try:
            wished[key] = json.loads(value)
        except json.JSONDecodeError:
            wished[key] = value
    return preset(name, **wished)


def measured(arms: list[str]) -> list[str]:
    """The names under which results of these arms come, in their order."""
    return [name for arm in arms for name in ([arm, arm + EXPORT] if arm.split(" ")[0] == "full" else [arm])]
