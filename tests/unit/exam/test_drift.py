"""Drift on a tiny random model, against the definition written out."""

import pytest
import torch

from slowwave.errors import ExamError
from slowwave.exam import drift
from slowwave.exam.drift import forward_kl
from slowwave.models.chat import prompt_ids, reply_ids
from slowwave.models.engine import Engine

PAIRS = [
    ([{"role": "user", "content": "Hi"}], "Hello there."),
    ([{"role": "user", "content": "What is the capital of France, if I may ask?"}], "Paris"),
    ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}], "x" * 90),
]


def by_definition(engine: Engine, chat, answer: str, a: str | None, b: str | None) -> torch.Tensor:
    """One chat alone, token by token. float64[T]."""
    prompt, reply = prompt_ids(engine.tokenizer, chat), reply_ids(engine.tokenizer, answer)
    rows = []
    for version in (a, b):
        with engine.using(version), torch.no_grad():
            rows.append(engine.model(torch.tensor([prompt + reply])).logits[0].double().log_softmax(-1))
    return torch.stack(
        [
            sum(rows[0][at].exp()[v] * (rows[0][at][v] - rows[1][at][v]) for v in range(rows[0].shape[1]))
            for at in range(len(prompt) - 1, len(prompt) + len(reply) - 1)
        ]
    )


def test_it_equals_the_definition(engine: Engine) -> None:
    wanted = [by_definition(engine, chat, answer, None, "other") for chat, answer in PAIRS]
    found = forward_kl(engine, PAIRS, None, "other")
    assert found.per_chat == pytest.approx([float(row.mean()) for row in wanted], rel=1e-3)
    assert found.per_token == pytest.approx(float(torch.cat(wanted).mean()), rel=1e-3)
    assert found.per_token > 0
    assert found.agreement < 1


def test_it_is_forward(engine: Engine) -> None:
    ahead, back = forward_kl(engine, PAIRS, None, "other"), forward_kl(engine, PAIRS, "other", None)
    wanted = by_definition(engine, *PAIRS[0], "other", None)
    assert back.per_chat[0] == pytest.approx(float(wanted.mean()), rel=1e-3)
    assert ahead.per_token != pytest.approx(back.per_token, rel=1e-3)


def test_a_version_does_not_drift_from_itself(engine: Engine) -> None:
    same = forward_kl(engine, PAIRS, "other", "other")
    assert (same.per_token, same.agreement) == (0.0, 1.0)
    assert engine.active is None


def test_batches_and_chunks_change_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = forward_kl(engine, PAIRS, None, "other")
    monkeypatch.setattr(drift, "_REPLY_TOKENS", 1)
    monkeypatch.setattr(drift, "_CHUNK", 7)
    parts = forward_kl(engine, PAIRS, None, "other")
    assert parts.per_chat == pytest.approx(whole.per_chat, rel=1e-4)
    assert parts.agreement == whole.agreement


def test_what_is_too_long_loses_its_beginning(engine: Engine) -> None:
    long = [([{"role": "user", "content": "a" * 400}], "b" * 20), ([{"role": "user", "content": "a"}], "b" * 400)]
    assert forward_kl(engine, long, None, "other").per_token > 0


def test_nothing_and_nan_are_refused(engine: Engine) -> None:
    with pytest.raises(ExamError):
        forward_kl(engine, [], None, "other")
    engine._full["broken"] = {"model.norm.weight": torch.full((16,), float("nan"))}
    with pytest.raises(ExamError, match="NaN"):
        forward_kl(engine, PAIRS, None, "broken")
