"""Few tokens' log-probabilities against the plain way: all logits, log_softmax, gather."""

import pytest
import torch
from torch import nn

from slowwave.learn import vocabulary

ROWS, WIDTH, WORDS = 300, 16, 300  # more rows than are held at a time


@pytest.fixture
def given():
    generator = torch.Generator().manual_seed(0)
    head = nn.Linear(WIDTH, WORDS, bias=False).requires_grad_(False)
    head.weight.copy_(torch.randn(WORDS, WIDTH, generator=generator))
    hidden_ND = torch.randn(ROWS, WIDTH, generator=generator)
    return hidden_ND, head, torch.randint(WORDS, (ROWS, 5), generator=generator)


def plain(hidden_ND, head, tokens_NK):
    return head(hidden_ND).float().log_softmax(-1).gather(1, tokens_NK)


def graded(function, hidden_ND, head, tokens_NK):
    hidden_ND = hidden_ND.clone().requires_grad_()
    found_NK = function(hidden_ND, head, tokens_NK)
    pull_NK = torch.linspace(-1, 2, found_NK.numel(), device=found_NK.device).view_as(found_NK)
    (found_NK * pull_NK).sum().backward()
    return found_NK.detach(), hidden_ND.grad


def test_values_and_gradients_are_those_of_the_plain_way(given):
    for fast, slow in zip(graded(vocabulary.log_probs, *given), graded(plain, *given), strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_logits_of_a_gpu_are_compiled(given, dtype, monkeypatch):
    monkeypatch.setattr(vocabulary, "_BYTES", 64 * 4 * WORDS)  # so many rows at a time, and the rest
    hidden_ND, head, tokens_NK = (one.cuda() for one in given)
    eager = graded(vocabulary.log_probs, hidden_ND.to(dtype), head.to(dtype), tokens_NK)
    monkeypatch.setattr(vocabulary, "_WORTH", 0)
    fast = graded(vocabulary.log_probs, hidden_ND.to(dtype), head, tokens_NK)
    assert vocabulary._compiled.cache_info().currsize == 1
    for one, other in zip(fast, eager, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4 if dtype == torch.float32 else 0.02, rtol=1e-3)


def test_in_bfloat16_under_autocast_too(given):
    hidden_ND, head, tokens_NK = given
    head = head.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        fast, slow = (graded(way, hidden_ND, head, tokens_NK) for way in (vocabulary.log_probs, plain))
    assert fast[0].dtype == torch.float32
    torch.testing.assert_close(fast[0], slow[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fast[1], slow[1], atol=0.2, rtol=0.02)


def test_a_head_that_is_trained_gets_its_gradient(given):
    hidden_ND, head, tokens_NK = given
    head.requires_grad_(True)
    vocabulary.log_probs(hidden_ND, head, tokens_NK).sum().backward()
    assert float(head.weight.grad.abs().sum()) > 0


def test_the_likeliest_tokens(given):
    hidden_ND, head, _ = given
    tokens_NK, logp_NK = vocabulary.top(hidden_ND, head, 7)
    expected = head(hidden_ND).log_softmax(-1).topk(7)
    assert torch.equal(tokens_NK, expected.indices)
    torch.testing.assert_close(logp_NK, expected.values)
