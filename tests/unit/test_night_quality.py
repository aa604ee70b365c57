"""The benchmark's own options, without a model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def quality(bench: Callable[[str], ModuleType]) -> ModuleType:
    return bench("night_quality")


@pytest.mark.parametrize("told", [[], ["--dtype", "bfloat16"]])
def test_the_base_is_loaded_in_the_precision_told(
    quality: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: list[str]
) -> None:
    seen = []

    def load(path: Path, *, dtype: str) -> None:
        seen.append((str(path), dtype))
        raise RuntimeError("that is all")

    monkeypatch.setattr(quality._night.Engine, "load", load)
    monkeypatch.setattr(quality, "ProcessPoolExecutor", lambda workers, **_: ThreadPoolExecutor(workers))
    monkeypatch.setattr(sys, "argv", ["night_quality.py", "--arms", "base", "--model", "/nowhere/base", *told])
    quality.main()
    assert seen == [("/nowhere/base", told[1] if told else "float32")]
    assert "base, seed 0: could not run: that is all" in capsys.readouterr().out


def test_a_run_goes_on_at_a_later_seed(quality: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Five nights of two runs in one log are the table's three seeds."""
    log, seen = tmp_path / "log.jsonl", []

    def run_job(args: object, arm: str, seed: int, work: Path) -> dict[str, object]:
        seen.append((arm, seed))
        values = [1.0, seed / 2]
        return {"arm": arm, "seed": seed, "held_out": values, "course": [values], "groups": {"held_out": ["a", "b"]}}

    monkeypatch.setattr(quality, "run_job", run_job)
    monkeypatch.setattr(quality, "ProcessPoolExecutor", lambda workers, **_: ThreadPoolExecutor(workers))
    command = ["night_quality.py", "--arms", "nights", "--log", str(log)]
    for options in (["--seeds", "2"], ["--seeds", "1", "--first-seed", "2"]):
        monkeypatch.setattr(sys, "argv", [*command, *options])
        quality.main()
    assert seen == [("nights", 0), ("nights", 1), ("nights", 2)]
    out = tmp_path / "rows.json"
    monkeypatch.setattr(
        sys, "argv", ["night_quality.py", "--arms", "nights", "--from-log", str(log), "--json", str(out)]
    )
    quality.main()
    row = json.loads(out.read_text())["rows"][0]
    assert row["figure"].startswith("five nights") and row["value"] == pytest.approx(0.75)


def test_another_precision_is_refused(
    quality: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["night_quality.py", "--dtype", "int8"])
    with pytest.raises(SystemExit) as ended:
        quality.main()
    assert ended.value.code == 2 and "invalid choice: 'int8'" in capsys.readouterr().err


def test_workers_take_the_gpus_in_turns(quality: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    gpus, turn, taken = quality._gpus(), get_context("spawn").Value("i", 0), []
    for _ in range(3):
        quality._take_gpu(gpus, turn)
        taken.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert gpus == ["3", "5"] and taken == ["5", "3", "5"]
    quality._take_gpu([], turn)  # a machine without one
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
