"""Whatever goes wrong outside: one line that says what, one that says what to do, the right status, nothing lost."""

from __future__ import annotations

import json
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from slowwave.experience.store import Store
from slowwave.models.manifest import Manifest
from slowwave.night.lease import Lease
from slowwave.records import Experience

Done = Any
Slowwave = Any

GOOD = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


def told(done: Done, status: int, *says: str) -> None:
    """It ended with `status`, printed no result, and said what is wrong and what to do."""
    assert done.status == status, done
    assert done.out == ""
    lines = [line for line in done.err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert [line.split(":")[0] for line in lines] == ["error", "hint"], done.err
    for text in says:
        assert text in done.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\x00\x01\x02\x7fELF" * 100, "is a binary file"),
        (b"no json\n", "line 1: not JSON"),
        (b'{"messages": []}\n', "line 1"),
        (b'{"a": 1}\n', "no format that we know"),
        (b"[1, 2", "no format that we know"),
    ],
)
def test_import_of_what_is_no_exchange(content: bytes, says: str, slowwave: Slowwave, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(content)
    told(slowwave("import", "in.jsonl"), 1, says)


def test_import_of_a_folder_and_of_nothing(slowwave: Slowwave, tmp_path: Path) -> None:
    told(slowwave("import", str(tmp_path)), 1, "cannot be read")
    told(slowwave("import", "nowhere.jsonl"), 1, "cannot be read")


def test_message_of_a_megabyte_is_rejected_by_its_line(slowwave: Slowwave, tmp_path: Path) -> None:
    long = {"messages": [{"role": "user", "content": "a" * 2**20}, {"role": "assistant", "content": "Hello"}]}
    (tmp_path / "in.jsonl").write_text(json.dumps(GOOD) + "\n" + json.dumps(long) + "\n")
    taken = slowwave("import", "in.jsonl", "--json").json
    assert (taken["imported"], [row["line"] for row in taken["rejected"]]) == (1, [2])


@pytest.mark.parametrize("name", ["no-such-model", "/nowhere/model.gguf", "nobody/nothing"])
def test_unknown_model(name: str, slowwave: Slowwave) -> None:
    told(slowwave("ask", "Hi", "--set", f"model.name={name}"), 1, name)
    told(slowwave("models", "pull", name), 1, name)


def test_model_folder_without_a_model(slowwave: Slowwave, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    told(slowwave("ask", "Hi", "--set", "model.name=./model"), 1, "no config.json")


def test_damaged_gguf(slowwave: Slowwave, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + b"\x00" * 4096)
    told(slowwave("models", "pull", "./model.gguf"), 1, "model.gguf")


def test_model_that_lost_a_file(slowwave: Slowwave, tmp_path: Path, cache: Path) -> None:
    damaged = tmp_path / "cache" / "models" / "smollm2-135m-instruct"
    shutil.copytree(cache / "models" / damaged.name, damaged)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: 1 << 20])
    told(slowwave("ask", "Hi", SLOWWAVE_CACHE=str(tmp_path / "cache")), 1, "model.safetensors is missing or cut off")
    checked = slowwave("doctor", "--json", SLOWWAVE_CACHE=str(tmp_path / "cache"))
    assert checked.status == 1
    assert [c["check"] for c in checked.json["checks"] if not c["ok"]] == ["model", "embedder"]


def test_unknown_setting_and_value_out_of_bounds(slowwave: Slowwave) -> None:
    told(slowwave("nights", "--set", "learn.lrr=1"), 2, "'learn.lrr'", "Did you mean 'learn.lr'?")
    told(slowwave("nights", "--set", "learn.lr=-1"), 2, "learn.lr")
    told(slowwave("nights", SLOWWAVE_LEARN__LRR="1"), 2, "'learn.lrr'")


@pytest.mark.parametrize("verb", ["ask Hi", "sleep", "nights", "undo", "experiences list", "lessons list"])
def test_persona_that_does_not_exist(verb: str, slowwave: Slowwave) -> None:
    told(slowwave(*verb.split(), "--persona", "nobody"), 1, "no persona 'nobody'")


def test_wrong_usage(slowwave: Slowwave) -> None:
    assert slowwave("slep").status == 2
    assert slowwave("sleep", "--no-such-option").status == 2
    assert slowwave("import").status == 2
    assert slowwave("show", "zero").status == 2


def test_port_in_use_is_told_before_the_model_is_loaded(slowwave: Slowwave) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told(slowwave("serve", "--port", str(port)), 1, f"port {port}")


def test_beyond_loopback_without_a_key(slowwave: Slowwave) -> None:
    told(slowwave("serve", "--host", "0.0.0.0", "--port", "0"), 1, "no key")


def test_two_sleepers(slowwave: Slowwave, tmp_path: Path) -> None:
    with Lease(tmp_path / "home"):
        told(slowwave("sleep"), 1, "is sleeping")
        assert "night is going on" in slowwave("doctor").out


def test_adapter_whose_bytes_changed_is_never_served(slowwave: Slowwave, tmp_path: Path) -> None:
    persona = tmp_path / "home" / "personas" / "default"
    folder = persona / "adapters" / "n0001"
    folder.mkdir(parents=True)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (folder / name).write_text("changed")
    files = {"adapter_model.safetensors": "0" * 64, "adapter_config.json": "0" * 64}
    manifest = Manifest("default", 1, "default@base", "adapter", base_hash="0", template_hash="0", files=files)
    (folder / "manifest.json").write_text(manifest.to_json())
    (persona / "serving.json").write_text(json.dumps({"adapter": "default@n0001", "sha256": "0" * 64}))
    told(slowwave("ask", "Hi"), 1, "is not what night 1 wrote")
    checked = slowwave("doctor", "--json")
    assert (checked.status, checked.json["ok"]) == (1, False)


def test_damaged_store_is_named_and_left_alone(slowwave: Slowwave, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "store.sqlite3").write_bytes(b"this is no database" * 100)
    told(slowwave("nights"), 1, "store.sqlite3", "damaged")
    assert (home / "store.sqlite3").read_bytes() == b"this is no database" * 100
    assert slowwave("doctor").status == 1


def test_home_that_is_a_file(slowwave: Slowwave, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told(slowwave("nights", "--home", "file"), 2, "is not a folder")


def test_nothing_to_learn_is_a_visible_skip(slowwave: Slowwave, tmp_path: Path) -> None:
    done = slowwave("sleep", "--json")
    assert (done.status, done.json["verdict"], done.json["adapter"]) == (0, "skipped", None)
    assert slowwave("nights", "--json").json["serving"] == "default@base"


def test_night_without_its_model_could_not_run(slowwave: Slowwave, tmp_path: Path) -> None:
    slowwave("teach", "My dog is called Biscuit.")
    done = slowwave("sleep", "--json", SLOWWAVE_CACHE=str(tmp_path / "empty"))
    assert (done.status, done.json["verdict"]) == (1, "could not run")
    assert "slowwave models pull" in " ".join(done.json["reasons"])


def test_what_was_said_cannot_steer_the_terminal(slowwave: Slowwave, tmp_path: Path) -> None:
    said = ({"role": "user", "content": "Hi \x1b[2J\x1b]0;title\x07"}, {"role": "assistant", "content": "Hello"})
    with Store(tmp_path / "home") as store:
        store.add(Experience("e1", "default", "user:ann", "2026-03-01T09:00:00Z", said, authority="user"))
    shown = slowwave("lessons", "list").out + slowwave("experiences", "show", "e1").out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown)
