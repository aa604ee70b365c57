"""The benchmark's own options, without a model."""

from __future__ import annotations

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def quality() -> ModuleType:
    sys.path.insert(0, str(ROOT / "bench"))
    try:
        return importlib.import_module("night_quality")
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize("told", [[], ["--dtype", "bfloat16"]])
def test_the_base_is_loaded_in_the_precision_told(
    quality: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: list[str]
) -> None:
    seen = []

    def load(path: Path, *, dtype: str) -> None:
        seen.append((str(path), dtype))
        raise RuntimeError("that is all")

    monkeypatch.setattr(quality.Engine, "load", load)
    monkeypatch.setattr(quality, "ProcessPoolExecutor", lambda workers, mp_context: ThreadPoolExecutor(workers))
    monkeypatch.setattr(sys, "argv", ["night_quality.py", "--arms", "base", "--model", "/nowhere/base", *told])
    quality.main()
    assert seen == [("/nowhere/base", told[1] if told else "float32")]
    assert "base, seed 0: could not run: that is all" in capsys.readouterr().out


def test_another_precision_is_refused(
    quality: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["night_quality.py", "--dtype", "int8"])
    with pytest.raises(SystemExit) as ended:
        quality.main()
    assert ended.value.code == 2 and "invalid choice: 'int8'" in capsys.readouterr().err
