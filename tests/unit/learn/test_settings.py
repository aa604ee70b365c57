"""Settings refuse what is no sensible number."""

from dataclasses import fields

import pytest

from slowwave.errors import SettingsError
from slowwave.learn.settings import LearnSettings, preset

NUMBERS = [field.name for field in fields(LearnSettings) if field.type in ("int", "float")]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, -1e-9])
def test_no_number_takes_nan_infinity_or_less_than_nothing(name, value):
    with pytest.raises(SettingsError, match=rf"learn\.{name} is"):
        LearnSettings(**{name: value})


@pytest.mark.parametrize("name", ["rank", "lr", "epochs", "lesson_batch", "clip", "drift_every", "micro_tokens"])
def test_some_numbers_cannot_be_zero(name):
    with pytest.raises(SettingsError, match=name):
        LearnSettings(**{name: 0})


@pytest.mark.parametrize("name", ["kl_weight", "ema", "anchor_batch", "warmup", "max_skipped", "dropout"])
def test_some_numbers_can(name):
    assert getattr(LearnSettings(**{name: 0}), name) == 0


def test_presets_are_known_by_name_and_single_values_win():
    assert [preset(name).preset for name in ("gentle", "adapter", "full")] == ["gentle", "adapter", "full"]
    assert preset("adapter") == LearnSettings()
    assert preset("full", lr=1e-5).lr == 1e-5
    for wrong in (lambda: preset("radical"), lambda: LearnSettings(preset="radical")):  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match="Use gentle, adapter or full"):
            wrong()
    with pytest.raises(SettingsError, match="lr"):
        preset("full", lr=float("nan"))


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(SettingsError, match="Use adamw, apollo or apollo_mini"):
        LearnSettings(optimizer="muon")  # type: ignore[arg-type]
