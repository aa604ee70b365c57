"""Which parts of a model are compiled, and that they are themselves again afterwards."""

import pytest
import torch
from transformers.models.llama import modeling_llama

from slowwave.learn import compiled as module
from slowwave.learn.compiled import compiled
from tests.unit.learn.tiny import answer, llama


def test_a_cpu_computes_as_ever():
    model = llama()
    with compiled(model):
        assert not any("forward" in vars(one) for one in model.modules())


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("products", "mlp"), [(True, "LlamaMLP"), (False, "gate")])
def test_norms_and_mlps_are_compiled_and_are_themselves_again(monkeypatch, fails, products, mlp):
    model, ran = llama(), []

    def compile_(forward, *, dynamic):
        assert dynamic
        if not hasattr(forward, "__self__"):  # what lies between an MLP's products, and between those of attention
            name = {"_gated": "gate", "apply_rotary_pos_emb": "rotary"}[forward.__name__]
            return lambda *args: ran.append(name) or forward(*args)
        name = type(forward.__self__).__name__
        return lambda *args: ran.append(name) or forward(*args)

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr(module, "_DEVICE", "cpu")
    wanted, rotary = answer(model), modeling_llama.apply_rotary_pos_emb
    try:
        with compiled(model, products=products):
            found = answer(model)
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert torch.equal(found, wanted)
    assert ran == [*["LlamaRMSNorm", "rotary", "LlamaRMSNorm", mlp] * 2, "LlamaRMSNorm"]
    assert modeling_llama.apply_rotary_pos_emb is rotary
    assert not any("forward" in vars(one) for one in model.modules())
