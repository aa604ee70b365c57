"""Who may ask, and as whom."""

from __future__ import annotations

import hashlib

import httpx
import openai
import pytest
from starlette.testclient import TestClient

from slowwave.errors import ServerError
from slowwave.serve.answer import LocalAnswerer
from slowwave.serve.app import create_app
from slowwave.serve.auth import Keys, is_loopback, load_keys
from slowwave.serve.recorder import Recorder
from slowwave.serve.run import listen

HELLO = [{"role": "user", "content": "hello"}]
KEYS = Keys(hashlib.sha256(b"owner").hexdigest(), {"mira": hashlib.sha256(b"for mira").hexdigest()})


def ask(client: openai.OpenAI):
    return client.chat.completions.create(model="slowwave", messages=HELLO)


def test_no_route_answers_without_a_key(serve, store, registry):
    app = create_app(LocalAnswerer(None, registry), Recorder(store), KEYS, (registry,))
    asked = [(method, route.path) for route in app.routes for method in getattr(route, "methods", None) or ["GET"]]
    assert {path for _, path in asked} >= {"/health", "/v1/models", "/v1/chat/completions"}
    extra = [("GET", path) for path in ("/docs", "/redoc", "/openapi.json", "/", "/nothing", "/health/")]
    with serve(keys=KEYS).http() as http:
        for method, path in asked + extra:
            for headers in (
                {}, {"authorization": "Bearer wrong"}, {"authorization": "Basic owner"}, {"authorization": "owner"},
                {"authorization": f"Bearer {KEYS.owner}"}, {"authorization": "Bearer"},
                {"authorization": "Bearer own\xe9r".encode("latin-1")},
            ):  # fmt: skip
                answer = http.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path, headers)
                assert answer.headers["www-authenticate"] == "Bearer"
                if method != "HEAD":
                    assert answer.json()["error"]["code"] == "invalid_api_key"
        assert http.get("/health", headers={"authorization": "Bearer owner"}).json()["status"] == "ok"


def test_the_owner_may_be_any_persona_that_exists(serve, store):
    store.add_persona("ann")
    served = serve(keys=KEYS)
    assert ask(served.client("owner")).model == "default@base"
    for persona in ("mira", "ann"):
        assert ask(served.client("owner", **{"x-slowwave-persona": persona})).model == f"{persona}@base"
    with pytest.raises(openai.NotFoundError) as caught:
        ask(served.client("owner", **{"x-slowwave-persona": "bob"}))
    assert caught.value.code == "persona_not_found"
    assert "bob" not in store.personas()
    for name in ("../default", "a/b", "A B", "x" * 200):
        with pytest.raises(openai.BadRequestError):
            ask(served.client("owner", **{"x-slowwave-persona": name}))


def test_a_persona_that_appears_later_is_found(serve, store):
    served = serve()
    client = served.client(**{"x-slowwave-persona": "late"})
    with pytest.raises(openai.NotFoundError):
        ask(client)
    store.add_persona("late")
    assert ask(client).model == "late@base"


def test_a_personas_key_is_good_for_that_persona_only(serve, store):
    served = serve(keys=KEYS)
    client = served.client("for mira")
    assert ask(client).model == "mira@base"
    assert [model.id for model in client.models.list()] == ["slowwave", "mira", "mira@base"]
    for other in ("default", "bob"):
        with pytest.raises(openai.PermissionDeniedError):
            ask(served.client("for mira", **{"x-slowwave-persona": other}))
    served.settle()
    assert {experience.persona for experience in store.experiences()} == {"mira"}


def test_without_keys_only_this_machine_is_answered(serve):
    served = serve()
    with served.http() as http:
        port = httpx.URL(served.url).port
        for host in ("localhost", "127.0.0.1", f"localhost:{port}", "[::1]:80", "LOCALHOST"):
            assert http.get("/v1/models", headers={"host": host}).status_code == 200, host
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "", "[", "0.0.0.0"):
            assert http.get("/v1/models", headers={"host": host}).status_code == 403, host
        for origin in ("http://localhost:3000", "http://127.0.0.1"):
            assert http.get("/v1/models", headers={"origin": origin}).status_code == 200, origin
        for origin in ("https://evil.example", "null", "http://localhost.evil.example", "file://"):
            answer = http.post("/v1/chat/completions", json={"messages": HELLO}, headers={"origin": origin})
            assert answer.status_code == 403, origin
            assert answer.json()["error"]["code"] == "forbidden_origin"


def test_keys_come_from_the_option_and_the_file(tmp_path):
    assert not load_keys(tmp_path, None)
    assert not load_keys(tmp_path, "")
    (tmp_path / "keys.toml").write_text(f'mira = "{hashlib.sha256(b"m").hexdigest().upper()}"\n')
    keys = load_keys(tmp_path, "o")
    assert keys.caller("o").persona is None
    assert keys.caller("m").persona == "mira"
    assert keys.caller("") is None
    assert load_keys(tmp_path, None)


@pytest.mark.parametrize(
    "text", ["mira = 5", 'mira = "secret in clear"', "mira", '"../x" = "' + "0" * 64 + '"', "[mira]\nkey = 1", "\x00"]
)
def test_a_bad_keys_file_is_one_error_that_keeps_secrets(tmp_path, text):
    (tmp_path / "keys.toml").write_text(text)
    with pytest.raises(ServerError, match=r"keys\.toml") as caught:
        load_keys(tmp_path, None)
    assert caught.value.hint
    assert "in clear" not in str(caught.value)


def test_beyond_loopback_a_key_is_required():
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org", ""):
        with pytest.raises(ServerError, match="no key"):
            listen(host, 0, Keys())
    listen("0.0.0.0", 0, KEYS).close()
    assert is_loopback("127.3.2.1")
    assert is_loopback("::1")


def test_a_port_in_use_is_one_error(serve):
    with listen("127.0.0.1", 0, Keys()) as taken, pytest.raises(ServerError, match="in use") as caught:
        listen("127.0.0.1", taken.getsockname()[1], Keys())
    assert "--port" in caught.value.hint


def test_the_persona_of_a_request_that_names_none(store, registry):
    app = create_app(LocalAnswerer(None, registry), Recorder(store), Keys(), (registry,), default="ann")
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/v1/models").json()["data"][-1]["id"] == "ann@base"
