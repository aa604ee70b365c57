"""Replies carry loss, contexts never do; company changes nothing."""

from dataclasses import replace

import pytest
import torch

from slowwave.learn.decision import Decision, collate, micro_batches
from slowwave.learn.freezing import packer
from slowwave.learn.loss import losses
from tests.unit.learn.tiny import LESSONS, WORDS, llama, reply_logits

CPU = torch.device("cpu")


def test_collate_finds_the_places_that_predict_replies_and_no_other():
    batch = collate(LESSONS, CPU)
    whole = [(*decision.context, *decision.reply) for decision in LESSONS]
    assert batch.ids_1T.tolist() == [[token for tokens in whole for token in tokens]]
    assert batch.positions_1T.tolist() == [[i for tokens in whole for i in range(len(tokens))]]
    found = list(zip(batch.rows_N.tolist(), batch.places_N.tolist(), batch.targets_N.tolist(), strict=True))
    expected, start = [], 0
    for row, decision in enumerate(LESSONS):
        for i, token in enumerate(decision.reply):
            expected.append((row, start + len(decision.context) + i - 1, token))
        start += len(decision)
    assert found == expected


def test_company_changes_no_logits(model):
    together = reply_logits(model, collate(LESSONS, CPU))
    alone = torch.cat([reply_logits(model, collate([decision], CPU)) for decision in LESSONS])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_context_tokens_are_no_targets():
    """The output rows of words get gradient from the softmax and as targets; only replies may make a word a target."""
    context, reply = (5, 6, 7), (8, 9)
    model = llama()
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())  # untied: the input side aside
    losses(model, [(Decision(context, reply), None)], CPU)[0].backward()
    grad_VD = model.lm_head.weight.grad

    with torch.no_grad():
        hidden_TD = model.model(torch.tensor([[*context, *reply]])).last_hidden_state[0]
        probs_TV = model.lm_head(hidden_TD).softmax(-1)
        expected_VD = torch.zeros(WORDS, 32)
        for place, target in [(2, 8), (3, 9)]:  # the last of the context predicts the reply's first
            error_V = probs_TV[place].clone()
            error_V[target] -= 1
            expected_VD += error_V[:, None] * hidden_TD[place] / 2
    torch.testing.assert_close(grad_VD, expected_VD, atol=1e-5, rtol=0)


def test_what_follows_in_the_context_is_never_asked_for(model):
    """The loss at earlier places is not in the sum: it equals the reply's own, whatever the context's words are."""
    for context in [(5, 6, 7), (90, 91, 7), (1, 1, 1, 1, 7)]:
        found = float(losses(model, [(Decision(context, (8,)), None)], CPU)[0])
        logits_V = model(torch.tensor([context])).logits[0, -1]
        assert found == pytest.approx(float(logits_V.logsumexp(-1) - logits_V[8]), abs=1e-5)


def test_a_long_reply_counts_no_more_than_a_short_one(model):
    decision = Decision((3, 4), (5, 6, 7, 8))
    logp_TV = model(torch.tensor([[*decision.context, *decision.reply]])).logits[0, 1:-1].log_softmax(-1)
    mean = float(-logp_TV[range(4), list(decision.reply)].mean())
    assert float(losses(model, [(decision, None)], CPU)[0]) == pytest.approx(mean, abs=1e-5)


def beginning(count: int) -> tuple[int, ...]:
    """A beginning of so many tokens."""
    return tuple(range(20, 20 + count))


@pytest.mark.parametrize(
    ("contexts", "shared"),
    [
        ([(*beginning(12), 1), (*beginning(12), 2, 3)], 12),
        ([beginning(12), (*beginning(12), 2, 3)], 11),  # each keeps a token of its own
        ([beginning(12), beginning(12)], 11),
        ([(*beginning(7), 1), (*beginning(7), 2)], 0),  # not worth a forward of its own
        ([(*beginning(12), 1)], 0),
        ([beginning(12), (1, 2, 3)], 0),
    ],
)
def test_a_shared_beginning_is_found(contexts, shared):
    batch = collate([Decision(context, (8,)) for context in contexts], CPU)
    assert batch.ids_1T.shape[1] == sum(len(context) + 1 for context in contexts) - shared * (len(contexts) - 1)


@pytest.mark.parametrize("count", [12, 40])  # shorter, and longer than what follows it
def test_a_shared_beginning_is_encoded_once_with_the_same_logits_and_gradients(count):
    """The fast path of a batch against one decision at a time, in float64."""
    decisions = [replace(d, context=beginning(count) + d.context) for d in LESSONS]
    grads, logits = [], []
    for groups in ([decisions], [[decision] for decision in decisions]):
        model = llama(torch.float64)
        parameters = [p.requires_grad_() for p in model.parameters()]
        batches = [collate(group, CPU) for group in groups]
        found = torch.cat([reply_logits(model, batch) for batch in batches])
        targets = torch.cat([batch.targets_N for batch in batches])
        torch.nn.functional.cross_entropy(found, targets).backward()
        logits.append(found.detach())
        grads.append([p.grad for p in parameters])
    torch.testing.assert_close(*logits, atol=1e-12, rtol=1e-10)
    for fast, slow in zip(*grads, strict=True):  # the norms compute in float32, whatever the model does
        torch.testing.assert_close(fast, slow, atol=1e-6, rtol=1e-4)


def test_packed_logits_are_those_of_the_plain_model(model):
    """Against transformers' own forward of one whole sequence, which knows nothing of packing."""
    decisions = [replace(d, context=beginning(12) + d.context) for d in LESSONS]
    packed = reply_logits(model, collate(decisions, CPU))
    plain = [model(torch.tensor([[*d.context, *d.reply]])).logits[0, len(d.context) - 1 : -1] for d in decisions]
    torch.testing.assert_close(packed, torch.cat(plain), atol=1e-5, rtol=0)


def test_the_model_attends_as_before_after_a_batch_that_failed(model):
    before = model.config._attn_implementation
    with pytest.raises(IndexError):
        reply_logits(model, collate([Decision((WORDS + 1, 2), (3,))], CPU))
    assert model.config._attn_implementation == before


@pytest.mark.parametrize(("tokens", "most"), [(1, 1), (14, 3), (10_000, 8)])
def test_micro_batches_hold_like_lengths_up_to_a_bound(tokens, most):
    groups = micro_batches(LESSONS, tokens)
    assert sorted(i for group in groups for i in group) == list(range(len(LESSONS)))
    lengths = [[len(LESSONS[i]) for i in group] for group in groups]
    assert all(len(group) == 1 or sum(group) <= tokens for group in lengths)
    assert max(map(len, groups)) == most
    flat = [length for group in lengths for length in group]
    assert flat == sorted(flat)


def test_after_contexts_decisions_of_one_context_go_together():
    pack = packer(llama(), frozen=True, detached=False)
    long, other = tuple(range(160)), tuple(range(1, 161))
    of = lambda context, size: Decision((*context, 9), (7,) * size)  # noqa: E731
    mixed = [of(long, 3), of(other, 3), of(long, 5), of(other, 1), of(long, 4)]
    assert micro_batches(mixed, 25, pack) == [[0, 2, 4], [1, 3]]  # 10 for the context, 15 for three with their headers
    assert micro_batches(mixed, 24, pack) == [[0, 2], [4], [1, 3]]
    assert micro_batches(mixed, 1, pack) == [[0], [2], [4], [1], [3]]
    assert len(micro_batches(mixed, 25)) == 5
