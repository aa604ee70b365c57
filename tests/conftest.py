"""What all tiers share: no network, none of the settings of whoever runs the tests, the default model fetched once."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", NO_COLOR="1")
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):  # side by side: each has its share of the cores
    os.environ.update(
        dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str((os.cpu_count() or workers) // workers or 1))
    )
for name in [name for name in os.environ if name.startswith("SLOWWAVE_") and name != "SLOWWAVE_CACHE"]:
    del os.environ[name]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of its own, which `SLOWWAVE_HOME` names."""
    folder = tmp_path / "home"
    monkeypatch.setenv("SLOWWAVE_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def cache() -> Path:
    """The cache with the default model and the embedder in it."""
    from slowwave.config import cache_folder
    from slowwave.models import zoo

    for model in zoo.EMBEDDED:
        zoo.pull(model, cache_folder())
    return cache_folder()


@pytest.fixture(scope="session")
def bench() -> Iterator[Callable[[str], Any]]:
    """Imports a script of the benchmarks by its name."""
    folder = str(Path(__file__).parents[1] / "bench")
    sys.path.insert(0, folder)
    yield importlib.import_module
    sys.path.remove(folder)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material beside a checkout; what needs it is skipped where it is not there."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside this checkout")
    return folder
