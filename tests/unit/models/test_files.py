"""Files that survive: nothing half written is ever seen under its final name."""

import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from slowwave.errors import OutOfSpace
from slowwave.models import files


def test_atomic_write_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "note.json"
    files.atomic_write(path, "old")
    files.atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["note.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_keeps_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, "full")

    path = tmp_path / "note.json"
    files.atomic_write(path, "old")
    monkeypatch.setattr(files.os, step, full)
    with pytest.raises(OutOfSpace, match="No disk space left") as caught:
        files.atomic_write(path, "new")
    assert caught.value.exit_code == 1
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["note.json"]


def test_other_errors_of_the_disk_keep_their_kind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.atomic_write(tmp_path / "missing" / "note.json", "x")


def test_publish_syncs_every_byte_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, final = tmp_path / "stage", tmp_path / "final"
    (stage / "deep").mkdir(parents=True)
    (stage / "deep" / "a").write_text("a")
    (stage / "b").write_text("b")
    steps: list[str] = []
    fsync, rename = files.fsync_file, os.rename
    monkeypatch.setattr(files, "fsync_file", lambda path: (steps.append(path.name), fsync(path)))
    monkeypatch.setattr(files.os, "rename", lambda a, b: (steps.append("rename"), rename(a, b)))
    files.publish(stage, final)
    assert steps == ["a", "deep", "b", "stage", "rename", tmp_path.name]
    assert (final / "deep" / "a").read_text() == "a"


def test_publish_never_replaces(tmp_path: Path) -> None:
    for name in ("stage", "final"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with pytest.raises(FileExistsError):
        files.publish(tmp_path / "stage", tmp_path / "final")
    assert (tmp_path / "final" / "file").read_text() == "final"
    files.discard(tmp_path / "final")
    files.discard(tmp_path / "never there")
    files.publish(tmp_path / "stage", tmp_path / "final")
    assert os.listdir(tmp_path) == ["final"]


def test_two_may_remove_the_same_grave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pull clears away what the dead left, and cannot tell it from what another pull is just removing."""
    remove = files.shutil.rmtree

    def overtaken(grave: Path) -> None:
        os.rename(grave, tmp_path / "theirs")
        remove(grave)

    (tmp_path / "old").mkdir()
    monkeypatch.setattr(files.shutil, "rmtree", overtaken)
    files.discard(tmp_path / "old")
    assert os.listdir(tmp_path) == ["theirs"]
    monkeypatch.undo()


def _count(folder: Path) -> None:
    for _ in range(50):
        with files.locked(folder / "lock"):
            number = int((folder / "count").read_text())
            files.atomic_write(folder / "count", str(number + 1))


def test_the_lock_keeps_processes_apart(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_count, args=(tmp_path,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (tmp_path / "count").read_text() == "150"
