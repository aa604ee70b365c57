"""Where a wheel is looked for: pip's settings, JSON and HTML indexes, folders, and what is said when none has it."""

import json
from pathlib import Path

import pytest

from slowwave.errors import ModelError
from slowwave.models.index import PUBLIC_INDEX, Link, PipSettings, find

WHEEL = "some_model-1.0-py3-none-any.whl"


def look(*indexes: str, find_links: tuple[str, ...] = ()) -> Link:
    settings = PipSettings(indexes, find_links)
    with settings.client() as client:
        return find("some-model", WHEEL, settings, client)


@pytest.fixture
def no_pip_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CERT", "PROXY"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")  # pip's own way to read no file at all


@pytest.mark.usefixtures("no_pip_settings")
def test_the_settings_are_those_of_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert PipSettings.read() == PipSettings((PUBLIC_INDEX,))
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://one/simple\n"
        "extra-index-url =\n    https://two/simple\n    https://three/simple\n"
        "[install]\nfind-links = /some/wheels\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    read = PipSettings.read()
    assert read.indexes == ("https://one/simple", "https://two/simple", "https://three/simple")
    assert read.find_links == ("/some/wheels",)
    monkeypatch.setenv("PIP_INDEX_URL", "https://four/simple")
    assert PipSettings.read().indexes[0] == "https://four/simple"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    read = PipSettings.read()
    assert (read.indexes, read.find_links) == ((), ("/some/wheels",))


@pytest.mark.usefixtures("no_pip_settings")
def test_without_pip_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowwave.models.index.sys.executable", "/bin/false")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://two/simple")
    assert PipSettings.read().indexes == (PUBLIC_INDEX, "https://two/simple")


def test_json_and_html_indexes_say_the_same(server) -> None:
    files = [
        {"filename": "some_model-0.9-py3-none-any.whl", "url": "/f/old.whl", "hashes": {"sha256": "0" * 64}},
        {"filename": WHEEL, "url": f"../../f/{WHEEL}", "hashes": {"sha256": "a" * 64}},
    ]
    server.files["/json/some-model/"] = ("application/vnd.pypi.simple.v1+json", json.dumps({"files": files}).encode())
    page = f'<html><body><a href="../../f/{WHEEL}#sha256={"a" * 64}" data-x="&gt;">{WHEEL}</a><br/><a>no link</a>'
    server.files["/html/some-model/"] = ("text/html", page.encode())
    wanted = Link(f"{server.url}/f/{WHEEL}", "a" * 64)
    assert look(f"{server.url}/json") == wanted
    assert look(f"{server.url}/html/") == wanted


def test_the_next_place_is_asked_when_one_does_not_have_it(server, tmp_path: Path) -> None:
    server.files["/b/some-model/"] = ("text/html", f'<a href="/f/{WHEEL}">x</a>'.encode())
    dead, empty = "http://127.0.0.1:9/simple", f"{server.url}/a"
    assert look(dead, empty, tmp_path.as_uri(), f"{server.url}/b") == Link(f"{server.url}/f/{WHEEL}")


def test_folders_serve_offline_machines(tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(b"wheel")
    assert look(find_links=(str(tmp_path),)).path == tmp_path / WHEEL
    assert look(find_links=(tmp_path.as_uri(),)).path == tmp_path / WHEEL
    project = tmp_path / "simple" / "some-model"
    project.mkdir(parents=True)
    (project / "index.html").write_text(f'<a href="../../{WHEEL}#sha256=abc">x</a><a href="gone.whl">x</a>')
    link = look((tmp_path / "simple").as_uri())
    assert (link.path, link.sha256) == (tmp_path / WHEEL, "abc")


def test_what_is_said_when_nothing_is_found(server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="None of pip's package indexes has some_model") as nowhere:
        look(server.url, find_links=(str(tmp_path),))
    assert "PIP_FIND_LINKS" in nowhere.value.hint
    with pytest.raises(ModelError, match="No package index could be asked") as dead:
        look("http://user:secret@127.0.0.1:9/simple")
    assert "secret" not in str(dead.value)
    assert "\n" not in str(dead.value)


def test_answers_that_are_no_index_are_not_believed(server) -> None:
    server.files["/simple/some-model/"] = ("application/json", b'["no index"]')
    with pytest.raises(ModelError, match="not a package index"):
        look(f"{server.url}/simple")
    server.files["/simple/some-model/"] = ("text/html", bytes(range(256)))
    with pytest.raises(ModelError, match="None of pip's"):
        look(f"{server.url}/simple")
