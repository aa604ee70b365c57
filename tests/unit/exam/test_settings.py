import pytest

from slowwave.errors import SettingsError
from slowwave.exam.settings import ExamSettings


def test_the_floors_of_the_mission() -> None:
    settings = ExamSettings()
    assert settings.near_miss_takeover <= 0.05
    assert settings.drift <= 0.05
    assert settings.bits_per_byte <= 0.01


@pytest.mark.parametrize(
    "broken",
    [
        {"drift": -0.1},
        {"drift": float("nan")},
        {"min_gain": 1.5},
        {"held_out": 0},
        {"held_out": 2.5},
        {"batch": 0},
        {"judge": "oracle"},
    ],
)
def test_bounds(broken: dict) -> None:
    with pytest.raises(SettingsError):
        ExamSettings(**broken)
