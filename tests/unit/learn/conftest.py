"""One thread: on two dozen parameters more threads only wait for each other, and sums keep their order."""

import pytest
import torch

from tests.unit.learn.tiny import llama


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def model():
    return llama()
