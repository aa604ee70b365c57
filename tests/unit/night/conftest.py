"""A store in an empty home."""

import pytest

from slowwave.experience.store import Store


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as store:
        yield store
