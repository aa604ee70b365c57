"""One sleeper at a time, and a token that only grows."""

import os

import pytest

from slowwave.errors import LeaseHeld
from slowwave.night.lease import Lease


def test_the_second_sleeper_is_told_who_sleeps(tmp_path):
    with Lease(tmp_path), pytest.raises(LeaseHeld, match=str(os.getpid())):
        Lease(tmp_path)
    Lease(tmp_path).release()


def test_tokens_grow_and_survive_a_torn_line(tmp_path):
    tokens = []
    for _ in range(3):
        with Lease(tmp_path) as lease:
            tokens.append(lease.token)
        with (tmp_path / "sleep.lock").open("ab") as file:
            file.write(b'{"token": 9')  # killed while writing
    assert tokens == [1, 2, 3]


def test_the_lock_dies_with_its_process(tmp_path):
    child = os.fork()
    if child == 0:
        Lease(tmp_path)
        os._exit(9)
    os.waitpid(child, 0)
    with Lease(tmp_path) as lease:
        assert lease.token == 2
        lease.check()


def test_check_notices_a_later_token_and_a_vanished_or_exchanged_file(tmp_path):
    with Lease(tmp_path) as lease:
        whole = lease.path.read_bytes()
        lease.path.write_bytes(whole + b'{"token": 2, "pid": 1, "since": ""}\n')
        with pytest.raises(LeaseHeld):
            lease.check()
        lease.path.unlink()
        with pytest.raises(LeaseHeld):
            lease.check()
        lease.path.write_bytes(whole)  # the same text, another file
        with pytest.raises(LeaseHeld):
            lease.check()
