"""The benchmarks run: smallest sizes, the real model, a table, and a JSON file of the documented form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("script", "figure"),
    [
        ("bench/night_quality.py", "held-out wordings"),
        ("bench/precision.py", "training"),
        ("bench/memory_graph.py", "a rank around"),
        ("studies/judge.py", "agreement"),
        ("studies/diversity.py", "lost over 2 nights"),
    ],
)
def test_smoke(script: str, figure: str, tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, str(ROOT / script), "--smoke", "--json", str(out)],
        capture_output=True, text=True, timeout=300, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    data = json.loads(out.read_text())
    assert {"command", "machine", "versions", "rows"} <= set(data)
    assert any(figure in row["figure"] for row in data["rows"])
    for row in data["rows"]:
        assert {"figure", "value", "low", "high", "floor", "aim", "ok"} <= set(row)
        assert row["low"] <= row["value"] <= row["high"]
    assert data["rows"][0]["figure"] in done.stdout
