"""The benchmarks run: smallest sizes, the real model, a table, and a JSON file of the documented form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.parametrize(
    ("script", "figure"),
    [("night_quality.py", "held-out wordings"), ("precision.py", "training"), ("memory_graph.py", "a rank around")],
)
def test_smoke(script: str, figure: str, tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, str(BENCH / script), "--smoke", "--json", str(out)],
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
