"""The dreamer's settings have bounds, and say so."""

from typing import Any

import pytest

from slowwave.dream.settings import DreamSettings
from slowwave.errors import SettingsError


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("apply", 1, 500), ("near_miss", 0, 500), ("ordinary", 0, 5000), ("exam_apply", 1, 50), ("exam_near_miss", 0, 50),
     ("prose", 0, 40), ("watch", 0, 500), ("samples", 0, 100), ("tokens", 8, 1024), ("answer_tokens", 4, 1024),
     ("temperature", 0.05, 2.0), ("similarity", 0.0, 1.0), ("rehearsal", 0, 500)],
)  # fmt: skip
def test_bounds(name: str, low: Any, high: Any) -> None:
    for value in (low, high):
        assert getattr(DreamSettings(**{name: value}), name) == value
    for value in (low - 0.01, high + 1):
        with pytest.raises(SettingsError, match=rf"dream\.{name} .* from {low} to {high}"):
            DreamSettings(**{name: value})


def test_not_a_number_is_refused() -> None:
    with pytest.raises(SettingsError):
        DreamSettings(temperature=float("nan"))


def test_values_are_kept_within_their_bounds() -> None:
    grown = DreamSettings().within(apply=900, samples=7, temperature=0.0)
    assert (grown.apply, grown.samples, grown.temperature) == (500, 7, 0.05)
