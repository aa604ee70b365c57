"""The frozen teacher: what is kept of it, and what its KL is worth."""

import pytest
import torch

from slowwave.learn.decision import collate
from slowwave.learn.loss import losses
from slowwave.learn.teacher import forward_kl, targets
from slowwave.learn.weights import Weights
from tests.unit.learn.tiny import ANCHORS, reply_logits, settings

CPU = torch.device("cpu")


def kept(logits_NV, k):
    logp_NK, tokens_NK = logits_NV.log_softmax(-1).topk(k, dim=-1)
    return tokens_NK, logp_NK


def kl(student_NV, tokens_NK, logp_NK):
    return forward_kl(student_NV.log_softmax(-1).gather(1, tokens_NK), logp_NK)


def full_kl(teacher_NV, student_NV):
    logp_NV, logq_NV = teacher_NV.log_softmax(-1), student_NV.log_softmax(-1)
    return (logp_NV.exp() * (logp_NV - logq_NV)).sum(-1)


def peaked(seed):
    """Logits [50, 8000] as of a language model: a few likely words, a long tail (Zipf: falls as log rank)."""
    generator = torch.Generator().manual_seed(seed)
    zipf_V = -2.2 * torch.arange(1, 8001).float().log()
    rows_NV = torch.stack([zipf_V[torch.randperm(8000, generator=generator)] for _ in range(50)])
    return rows_NV, rows_NV + 0.5 * torch.randn(50, 8000, generator=generator)


@pytest.mark.parametrize("k", [1, 4, 16, 64, 1024])
def test_merging_the_rest_never_raises_the_kl(k):
    for logits_NV, student_NV in [peaked(0), (torch.randn(50, 8000), 3 * torch.randn(50, 8000))]:
        found_N = kl(student_NV, *kept(logits_NV, k))
        assert (found_N <= full_kl(logits_NV, student_NV) + 1e-4).all()
        assert (found_N >= -1e-5).all()


def test_64_words_keep_nearly_all_of_it():
    teacher_NV, student_NV = peaked(1)
    found, whole = kl(student_NV, *kept(teacher_NV, 64)).mean(), full_kl(teacher_NV, student_NV).mean()
    assert 0.98 * whole < found <= whole
    assert kl(student_NV, *kept(teacher_NV, 1)).mean() < 0.98 * whole  # and the bound says something


@pytest.mark.parametrize("k", [1, 8, 128])
def test_zero_for_itself(model, k):
    for anchor, target in zip(ANCHORS, targets(model, ANCHORS, k, 30), strict=True):
        logits_TV = reply_logits(model, collate([anchor], CPU))
        assert kl(logits_TV, target.tokens_TK, target.logp_TK).abs().max() < 1e-5


def test_targets_come_back_in_the_order_of_the_anchors(model):
    for anchor, target in zip(ANCHORS, targets(model, ANCHORS, 5, 30), strict=True):
        logits_TV = reply_logits(model, collate([anchor], CPU))
        assert torch.equal(target.tokens_TK, logits_TV.topk(5, dim=-1).indices)
        torch.testing.assert_close(target.logp_TK.exp().sum(-1), logits_TV.softmax(-1).topk(5).values.sum(-1))


@pytest.mark.parametrize("name", ["adapter", "full"])
def test_anchors_pull_nowhere_at_the_start(model, name):
    taught = list(zip(ANCHORS, targets(model, ANCHORS, 16, 40), strict=True))
    weights = Weights(model, settings(name), None, seed=0)
    for value in weights.trainable.values():
        value.requires_grad_(True)
    loss_B = losses(model, taught, CPU)
    assert float(loss_B.detach().abs().max()) < 1e-4
    loss_B.sum().backward()
    assert max(float(value.grad.abs().max()) for value in weights.trainable.values()) < 1e-4

    with torch.no_grad():  # away from the start they do pull
        for value in weights.trainable.values():
            value.add_(0.05 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0)))
            value.grad = None
    losses(model, taught, CPU).sum().backward()
    assert max(float(value.grad.abs().max()) for value in weights.trainable.values()) > 1e-2


def test_lessons_and_anchors_mix_in_any_order(model):
    """Each decision's loss comes back at its own place, wherever the other kind stands between."""
    taught = list(zip(ANCHORS, targets(model, ANCHORS, 16, 40), strict=True))
    with torch.no_grad():
        model.lm_head.weight.mul_(1.1)
    mixed = [pair for anchor in taught for pair in (anchor, (anchor[0], None))]
    alone_B = torch.cat([losses(model, [pair], CPU) for pair in mixed])
    torch.testing.assert_close(losses(model, mixed, CPU), alone_B, rtol=1e-4, atol=1e-5)
