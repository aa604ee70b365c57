"""A hub made on the spot: what is asked of it, what is never fetched, and what its refusals become.

In a process of its own: the hub's client reads its address and its offline switch when it is imported.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHA = "1234567890" * 4
FILES = {
    "config.json": b"{}",
    "model.safetensors": b"weights" * 1000,
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "modeling.py": b"raise SystemExit('code from the hub ran')",
    "onnx/model.safetensors": b"another export",
}
PULL = """
import json, sys
from pathlib import Path
from slowwave.errors import SlowwaveError
from slowwave.models import zoo
seen = []
try:
    folder = zoo.pull("org/name", Path(sys.argv[1]), lambda *report: seen.append(report))
    print(json.dumps({"folder": str(folder), "last": seen[-1:]}))
except SlowwaveError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""


@pytest.fixture
def hub(server):
    siblings, tree = [], []
    for name, content in FILES.items():
        digest = hashlib.sha256(content).hexdigest()
        large = {"sha256": digest, "size": len(content), "pointerSize": 130} if name.endswith("safetensors") else None
        siblings.append({"rfilename": name, "size": len(content), "blobId": "b" * 40, "lfs": large})
        entry = {"type": "file", "path": name, "size": len(content), "oid": "b" * 40}
        tree.append(entry | ({"lfs": large | {"oid": digest}} if large else {}))
        server.files[f"/org/name/resolve/{SHA}/{name}"] = ("application/octet-stream", content)
    info = {"id": "org/name", "sha": SHA, "siblings": siblings}
    server.files["/api/models/org/name"] = ("application/json", json.dumps(info).encode())
    server.files[f"/api/models/org/name/tree/{SHA}"] = ("application/json", json.dumps(tree).encode())
    server.headers = {"X-Repo-Commit": SHA, "ETag": '"' + "e" * 40 + '"'}
    return server


def pull(url: str, cache: Path, **environment: str) -> dict:
    settings = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "HF_HOME": str(cache / "hf")}
    child = subprocess.run(
        [sys.executable, "-c", PULL, cache],
        env=os.environ | settings | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout.splitlines()[-1])


def test_only_weights_tokenizer_and_configuration_are_fetched(hub, tmp_path: Path) -> None:
    done = pull(hub.url, tmp_path)
    folder = tmp_path / "models" / "org--name"
    assert done["folder"] == str(folder)
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "slowwave.json",
    }
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert json.loads((folder / "slowwave.json").read_text())["source"] == f"hub org/name@{SHA}"
    total = sum(len(FILES[name]) for name in ("config.json", "model.safetensors", "tokenizer.json"))
    assert done["last"] == [[total, total]]
    assert list((tmp_path / "downloads").iterdir()) == []
    asked = len(hub.asked)
    assert pull(hub.url, tmp_path)["folder"] == str(folder)
    assert len(hub.asked) == asked


def test_refusals_are_one_line(hub, tmp_path: Path) -> None:
    weights = f"/org/name/resolve/{SHA}/model.safetensors"
    hub.files[weights] = ("application/octet-stream", b"WEIGHTS" * 1000)
    assert pull(hub.url, tmp_path)["error"] == "DamagedFile"
    assert not (tmp_path / "models" / "org--name").exists()

    hub.files["/api/models/org/name"] = ("application/json", json.dumps({"id": "org/name", "siblings": []}).encode())
    assert "never loaded" in pull(hub.url, tmp_path)["message"]
    del hub.files["/api/models/org/name"]
    for url, environment in ((hub.url, {}), ("http://127.0.0.1:9", {}), (hub.url, {"HF_HUB_OFFLINE": "1"})):
        failed = pull(url, tmp_path, **environment)
        assert failed["error"] in ("ModelError", "ModelNotFound")
        assert "org/name" in failed["message"]
        assert "\n" not in failed["message"]
