"""Killed anywhere: the served version is the old or the new one, whole, and the next sleep ends with a verdict.

Real store, registry and files; rooms without a model, so that hundreds of nights can be killed in a minute.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slowwave.experience.store import Store
from slowwave.models.registry import Registry
from slowwave.night import history
from slowwave.night.folder import folders
from tests.unit.night.cheap import CheapRooms, correction, sleeper, slept

DURABLE = ("replace", "rename", "fsync", "write", "mkdir", "unlink", "rmdir")


@pytest.fixture(autouse=True)
def without_plots(monkeypatch):
    """Drawing four plots takes longer than the rest of a night here, and no file depends on them."""
    monkeypatch.setattr("slowwave.night.sleep.page", lambda night: "<!doctype html>")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A home with one promoted night, and a second correction waiting."""
    home = tmp_path_factory.mktemp("prepared")
    with Store(home) as store:
        store.add(correction(1))
        assert slept(home, store).verdict == "promoted"
        store.add(correction(2))
    return home


@pytest.fixture
def home(prepared, tmp_path) -> Path:
    return shutil.copytree(prepared, tmp_path / "home")


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked process; its exit status, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def sleep_once(home: Path) -> None:
    with Store(home) as store:
        slept(home, store)


def undo_once(home: Path) -> None:
    with Store(home) as store:
        history.undo(home, store, "default")


def dying(home: Path, at: int, work: Callable[[Path], None], act: Callable[[], None]) -> Callable[[], None]:
    """`work` with `act` before its `at`-th durable operation."""

    def run() -> None:
        count = 0

        def before(original: Callable[..., object]) -> Callable[..., object]:
            def wrapped(*args: object, **options: object) -> object:
                nonlocal count
                count += 1
                if count == at:
                    act()
                return original(*args, **options)

            return wrapped

        for name in DURABLE:
            setattr(os, name, before(getattr(os, name)))
        work(home)

    return run


def operations(home: Path, scratch: Path, work: Callable[[Path], None]) -> int:
    """How many durable operations `work` makes."""
    copy = shutil.copytree(home, scratch)
    low, high = 1, 2048  # the first number at which nothing is killed any more
    while low < high:
        middle = (low + high) // 2
        shutil.rmtree(copy)
        shutil.copytree(home, copy)
        if in_child(dying(copy, middle, work, lambda: os._exit(9))) == 9:
            low = middle + 1
        else:
            high = middle
    return low - 1


def check(home: Path) -> None:
    """What must hold at every moment, and that the next night ends well."""
    registry = Registry(home)
    served = registry.serving("default").name
    assert served in ("default@n0001", "default@n0002")
    registry.verify(served)
    begun = {night.number: night.read("settings.json")["started"] for night in folders(home)}
    with Store(home) as store:
        assert len(store.experiences("default")) == 2
        night = slept(home, store)
        if night.verdict == "skipped":  # the killed one had ended already, or it was closed and this one is new
            assert registry.serving("default").name == "default@n0002"
        else:
            assert night.verdict == "promoted"
        assert [lesson.status for lesson in store.lessons("default")] == ["learned", "learned"]
        assert registry.serving("default").name == max(n.adapter or "" for n in history.nights(home))
        registry.verify(registry.serving("default").name)
        later = {night.number: night.read("settings.json")["started"] for night in folders(home)}
        assert begun.items() <= later.items()  # no number was used twice
        assert all(night.closed for night in folders(home))
        assert not list((home / "nights").glob("*/trained"))


def test_killed_before_every_durable_operation(home, tmp_path):
    total = operations(home, tmp_path / "scratch", sleep_once)
    assert total > 60
    for at in range(1, total + 1):
        copy = shutil.copytree(home, tmp_path / "copy")
        assert in_child(dying(copy, at, sleep_once, lambda: os._exit(9))) == 9, f"operation {at} of {total}"
        check(copy)
        shutil.rmtree(copy)


def test_no_space_at_every_third_durable_operation(home, tmp_path):
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def expect_out_of_space(copy: Path) -> None:
        from slowwave.errors import OutOfSpace

        try:
            sleep_once(copy)
        except OutOfSpace as error:
            os._exit(error.exit_code)

    total = operations(home, tmp_path / "scratch", sleep_once)
    seen = set()
    for at in range(1, total + 1, 3):  # a failing call is slower than a death
        copy = shutil.copytree(home, tmp_path / "copy")
        seen.add(status := in_child(dying(copy, at, expect_out_of_space, full)))
        assert status in (0, 1), f"operation {at} of {total}"
        check(copy)
        shutil.rmtree(copy)
    assert 1 in seen


def test_killed_at_random_times(home, tmp_path):
    rng = random.Random(0)
    for _ in range(25):
        copy = shutil.copytree(home, tmp_path / "copy")
        child = os.fork()
        if child == 0:
            try:
                sleep_once(copy)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        check(copy)
        shutil.rmtree(copy)


def test_killed_three_times_in_one_night_and_then_not(home):
    for at in (40, 20, 20):
        in_child(dying(home, at, sleep_once, lambda: os._exit(9)))
    check(home)


def test_undo_killed_before_every_durable_operation(home, tmp_path):
    with Store(home) as store:
        assert slept(home, store).adapter == "default@n0002"
    total = operations(home, tmp_path / "scratch", undo_once)
    for at in range(1, total + 1):
        copy = shutil.copytree(home, tmp_path / "copy")
        assert in_child(dying(copy, at, undo_once, lambda: os._exit(9))) == 9
        with Store(copy) as store:
            registry = Registry(copy)
            served = registry.serving("default").name
            registry.verify(served)
            assert slept(copy, store).verdict == "skipped"
            statuses = [lesson.status for lesson in store.lessons("default")]
            assert statuses == ["learned", "learned" if served == "default@n0002" else "undone"]
        shutil.rmtree(copy)


def test_a_killed_sleeper_leaves_no_lease(home):
    def hang() -> None:
        class Hanging(CheapRooms):
            def train(self, *args: object, **options: object) -> None:  # type: ignore[override]
                (home / "training").touch()
                time.sleep(60)

        with Store(home) as store:
            sleeper(home, store, Hanging()).run()

    child = os.fork()
    if child == 0:
        try:
            hang()
        finally:
            os._exit(0)
    while not (home / "training").exists():
        time.sleep(0.01)
    from slowwave.errors import LeaseHeld

    with Store(home) as store, pytest.raises(LeaseHeld):
        slept(home, store)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    check(home)
