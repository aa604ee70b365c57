from collections.abc import Iterator
from pathlib import Path

import pytest

from slowwave.experience.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "home") as opened:
        yield opened
