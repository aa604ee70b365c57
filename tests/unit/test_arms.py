"""The arms that are ours, as they are told on the command line, and the curve that is drawn of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from slowwave.learn.settings import preset


@pytest.mark.parametrize(
    ("arm", "wanted"),
    [
        ("adapter", preset("adapter")),
        ("adapter depth=0.667 rank=24 alpha=24", preset("adapter", depth=0.667, rank=24, alpha=24)),
        ("full optimizer=apollo lr=3e-4", preset("full", optimizer="apollo", lr=3e-4)),
        ("nights context=frozen", preset("adapter", context="frozen")),
        ('gentle targets=["q_proj"]', preset("gentle", targets=["q_proj"])),
    ],
)
def test_an_arm_is_a_preset_with_single_settings(bench: Any, arm: str, wanted: Any) -> None:
    assert bench("_arms").settings(arm) == wanted


@pytest.mark.parametrize(
    ("arm", "told"),
    [("adapter foo=1", "foo=1"), ("full lr", "lr"), ("nights depth=7", "depth"), ("full depth=0.5", "all")],
)
def test_a_mistake_is_told_before_anything_runs(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arm: str, told: str
) -> None:
    quality: ModuleType = bench("night_quality")
    monkeypatch.setattr(quality, "run", lambda *_: pytest.fail("it ran"))
    monkeypatch.setattr(sys, "argv", ["night_quality.py", "--arms", f"base,{arm}"])
    with pytest.raises(SystemExit) as ended:
        quality.main()
    assert ended.value.code == 2 and told in capsys.readouterr().err.splitlines()[-1]


def result(arm: str, seed: int, gain: float, drift: float) -> dict[str, Any]:
    figures = {"held_out": [gain], "situations": [], "right": [1.0], "taken_over": [0.0], "drift": drift, "bits": 1.0}
    groups = {"held_out": ["a"], "right": ["a"], "taken_over": ["a"]}
    return {"arm": arm, "seed": seed, "groups": groups, **figures}


def test_every_method_has_five_rates_and_its_own_line(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curve = bench("apollo_forgetting")
    arms = curve.arms()
    settings = {method: [bench("_arms").settings(arm) for arm in mine] for method, mine in arms.items()}
    assert {method: mine[0].optimizer for method, mine in settings.items()} == {
        "AdamW": "adamw", "APOLLO": "apollo", "APOLLO-Mini": "apollo_mini", "LoRA": "adamw",
    }  # fmt: skip
    for method, mine in settings.items():
        usual = 0 if method.startswith("APOLLO") else 2
        assert len(mine) == 5 and mine[usual].lr == preset(mine[0].preset).lr and mine[4].lr == 16 * mine[0].lr
    log, out = tmp_path / "log.jsonl", tmp_path / "curve.svg"
    rows = [result("base", 0, 0.0, 0.0)]
    rows += [
        result(arm, s, 0.2 * i, 0.01 * (i + 1 + s)) for m in arms.values() for i, arm in enumerate(m) for s in (0, 1)
    ]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(
        sys, "argv", ["x", "--from-log", str(log), "--plot", str(out), "--json", str(tmp_path / "rows")]
    )
    curve.main()
    told = {row["figure"]: row["value"] for row in json.loads((tmp_path / "rows").read_text())["rows"]}
    assert told[f"{arms['APOLLO'][3]}: held-out wordings as taught"] == pytest.approx(0.6)
    assert told[f"{arms['LoRA'][0]}: drift, nats a token"] == pytest.approx(0.015)
    assert out.read_text().startswith("<?xml") and "drift" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["x", "--arms", f"base,{arms['LoRA'][1]}", "--from-log", str(log)])
    curve.main()
    table = capsys.readouterr().out
    assert arms["LoRA"][1] in table and arms["LoRA"][2] not in table
    monkeypatch.setattr(sys, "argv", ["x", "--arms", "adapter lr=7"])
    with pytest.raises(SystemExit):
        curve.main()
    assert "There is no arm 'adapter lr=7'" in capsys.readouterr().err


def test_the_row_of_five_nights_says_which(bench: Any) -> None:
    night = {"arm": "nights depth=0.5", "seed": 0, "held_out": [1.0], "course": [[1.0]], "groups": {"held_out": ["a"]}}
    rows = bench("_rows").rows_of([night], bench("_arms").measured(["nights depth=0.5"]))
    assert rows[0].figure == "five nights depth=0.5: lessons of night 1 after night 5" and rows[0].floor == 0.85
