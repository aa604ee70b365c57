"""The embedder's arithmetic on a random BERT of two layers; what MiniLM knows is asked in tests/integration."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from slowwave.errors import DamagedFile, ModelNotFound
from slowwave.models.embed import MAX_TOKENS, Embedder

WORDS = [f"w{number}" for number in range(40)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=41, max_position_embeddings=MAX_TOKENS, **sizes)
    save_file(BertModel(config).state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    tokenizer = Tokenizer(models.WordLevel({"[CLS]": 0} | {word: i + 1 for i, word in enumerate(WORDS)}, "[CLS]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 0)])
    tokenizer.enable_padding(length=128)  # as the real one does; it must not matter
    tokenizer.enable_truncation(128)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def texts(count: int) -> list[str]:
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, random.integers(1, 60))) for _ in range(count)]


def test_each_text_has_its_row_whatever_the_batch(folder: Path) -> None:
    embedder = Embedder.load(folder)
    rows = embedder.embed(texts(30), batch=7)
    assert rows.shape == (30, 32)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    alone = np.concatenate([embedder.embed([text]) for text in texts(30)])
    np.testing.assert_allclose(rows, alone, atol=1e-5)  # padding changes nothing


def test_the_mean_is_over_the_tokens_of_the_text(folder: Path) -> None:
    embedder = Embedder.load(folder)
    model = BertModel(BertConfig.from_json_file(folder / "config.json"), add_pooling_layer=False).eval()
    weights = embedder._model.state_dict()
    model.load_state_dict(weights)
    with torch.no_grad():
        mean = model(input_ids=torch.tensor([[0, 3, 1, 4]])).last_hidden_state[0].mean(0)
    expected = (mean / mean.norm()).numpy()
    np.testing.assert_allclose(embedder.embed(["w2 w0 w3"])[0], expected, atol=1e-5)


def test_long_texts_are_cut_and_empty_lists_are_empty(folder: Path) -> None:
    embedder = Embedder.load(folder)
    long = " ".join(["w1", "w2"] * MAX_TOKENS)
    cut = " ".join(["w1", "w2"] * (MAX_TOKENS // 2))
    np.testing.assert_allclose(embedder.embed([long]), embedder.embed([cut]), atol=1e-6)
    assert embedder.embed([]).shape == (0, 32)
    assert np.isfinite(embedder.embed(["", "w1"])).all()


def test_threads_may_share_one(folder: Path) -> None:
    embedder = Embedder.load(folder)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: embedder.embed(texts(10)), range(8)))
    for result in results:
        np.testing.assert_allclose(result, results[0], atol=1e-6)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_and_damaged_files_are_named(folder: Path, file: str) -> None:
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedFile):
        Embedder.load(folder)
    (folder / file).unlink()
    with pytest.raises(ModelNotFound, match=file):
        Embedder.load(folder)


def test_tokens_are_counted_to_the_end_of_a_text(folder: Path) -> None:
    long = " ".join(WORDS[0] for _ in range(3 * MAX_TOKENS + 5))
    assert Embedder.load(folder).count(long) == 3 * MAX_TOKENS + 5
    assert Embedder.load(folder).count("w1 w2") == 2 and Embedder.load(folder).count("") == 0
