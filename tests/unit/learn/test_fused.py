"""The short way through a low-rank layer equals PEFT's, and what it cannot do is left to PEFT."""

import pytest
import torch
from peft.tuners.lora import Linear

from slowwave.learn import adapter, fused
from slowwave.learn.weights import lora_config
from tests.unit.learn.tiny import llama, settings

IDS = torch.arange(1, 13)[None]


def injected(dtype=torch.float64, **changes):
    """A tiny model with one adapter that says something, active and trainable."""
    model = llama(dtype)
    adapter.inject(model, lora_config(settings(**changes), model), "one")
    adapter.activate(model, "one")
    generator = torch.Generator().manual_seed(3)
    for parameter in adapter.parameters(model, "one").values():
        parameter.data = torch.randn(parameter.shape, generator=generator).to(dtype) / 4
        parameter.requires_grad_()
    return model


def by_peft(model):
    """The same model, every layer by PEFT's own forward."""
    for layer in model.modules():
        vars(layer).pop("forward", None)
    return model


def outcome(model):
    """Logits, and the gradient of every trainable parameter."""
    logits = model(IDS).logits
    logits.square().mean().backward()
    return logits.detach(), {key: p.grad for key, p in adapter.parameters(model, "one").items()}


def test_logits_and_gradients_are_pefts(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "addmm", lambda *a, f=torch.addmm, **k: calls.append(1) or f(*a, **k))
    fast, slow = outcome(injected(alpha=7.0)), outcome(by_peft(injected(alpha=7.0)))
    assert len(calls) == 14  # seven layers in each of two blocks
    torch.testing.assert_close(fast[0], slow[0], atol=1e-12, rtol=1e-10)
    for key, grad in slow[1].items():
        torch.testing.assert_close(fast[1][key], grad, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("case", ["silent", "two", "dropout", "mixed precision"])
def test_everything_else_is_left_to_peft(monkeypatch, case):
    model = injected(**({"dtype": torch.bfloat16} if case == "mixed precision" else {}),
                     **({"dropout": 0.5} if case == "dropout" else {}))  # fmt: skip
    if case == "silent":
        adapter.activate(model, None)
    elif case == "two":
        adapter.inject(model, lora_config(settings(), model), "two")
        for layer in adapter.layers(model):
            layer.set_adapter(["one", "two"])
    elif case == "dropout":
        model.train()
    else:
        for parameter in adapter.parameters(model, "one").values():
            parameter.data = parameter.data.float()
    monkeypatch.setattr(torch, "addmm", None)
    seen = []
    monkeypatch.setattr(
        fused.Linear, "forward", lambda layer, x, *a, f=Linear.forward, **k: seen.append(1) or f(layer, x)
    )
    model(IDS)
    assert len(seen) == 14
