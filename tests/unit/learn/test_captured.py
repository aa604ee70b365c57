"""A step captured after contexts: padded, copied into fixed memory, replayed; and the blocks a GPU's kernel visits.

Without a GPU the kernel is written out densely and a graph is a call; all else is as it is there.
"""

from functools import partial

import pytest
import torch

from slowwave.learn import blocks as flex
from slowwave.learn.captured import Captured
from slowwave.learn.context import Context, Following, beside, encode, encode_all, joined, padded
from slowwave.learn.decision import collate_after
from slowwave.learn.loss import micro_step, prepare
from slowwave.learn.rows import fits, fused, rows, written_out
from slowwave.learn.teacher import targets
from slowwave.learn.train import train
from tests.unit.learn.test_context import SET, contexts_of, flat, lora, of
from tests.unit.learn.tiny import ANCHORS, LESSONS, llama, settings

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")


def dense(query, key, value, *, block_mask, scale, enable_gqa, return_lse):
    """FlexAttention by its definition: the mask where a block is partly seen, everything where it is whole."""
    assert enable_gqa and return_lse
    seen_TK = block_mask.to_dense()[0, 0].bool().repeat_interleave(128, 0).repeat_interleave(128, 1)
    places = [torch.arange(size, device=query.device) for size in seen_TK.shape]
    seen_TK = seen_TK & block_mask.mask_mod(None, None, places[0][:, None], places[1][None])
    groups = query.shape[1] // key.shape[1]
    score = query @ key.repeat_interleave(groups, 1).mT * scale
    score = score.masked_fill(~seen_TK, -torch.inf)
    lse = score.logsumexp(-1)
    return score.softmax(-1).nan_to_num() @ value.repeat_interleave(groups, 1), lse


@pytest.fixture
def kernels(monkeypatch):
    """Without a GPU: the dense kernel, and replays that are calls."""
    if GPU:
        return

    def record(self, run):
        out = run()
        return out, lambda: out.copy_(run())

    monkeypatch.setattr(flex, "_flex", lambda: dense)
    monkeypatch.setattr(Captured, "_record", record)


def way(monkeypatch, kind):
    """Packs after contexts in this way, whatever the device and the sizes."""
    for name in ("blocks", "rows"):
        monkeypatch.setattr(f"slowwave.learn.decision.{name}", lambda *args, few=False: kind(*args))


def trained():
    """A model with an adapter, what trains in it, and what each decision of SET with its target comes after."""
    model = llama(width=64).to(DEVICE)
    contexts = contexts_of(model, SET)
    of = dict(zip(SET, contexts, strict=True))
    pack = lambda chosen, device: collate_after(chosen, [of[one] for one in chosen], device)  # noqa: E731
    own = list(lora(model, torch.float32).values())
    for parameter in own:
        parameter.data = parameter.data.to(DEVICE)
    return model, own, pack


def pairs(model, pack, kinds):
    """Decisions of SET, those marked as anchors with what the model as it is predicts, shifted: a KL that is not 0."""
    taught = targets(model, SET, 8, 1000, pack)
    for one in taught:
        one.tokens_TK.add_(1).remainder_(128)
    return [(SET[i], taught[i] if anchor else None) for i, anchor in kinds]


STEPS = [  # micro-batches: the third is of the first's padded sizes, with another number of everything in it
    [(0, False), (1, False), (3, True), (5, True)],
    [(0, True), (2, True), (4, True)],
    [(2, False), (6, True), (0, True), (1, True), (4, False)],
    [(6, False)],
]


def taken(monkeypatch, kind, captured):
    """Losses of all micro-batches, and the sum of their gradients."""
    way(monkeypatch, kind)
    model, own, pack = trained()
    run = Captured(own) if captured else None
    found = []
    for kinds in STEPS * 2:  # what comes once is not captured
        work = prepare(pairs(model, pack, kinds), DEVICE, pack)
        weight_B = torch.arange(1.0, 1 + len(kinds), device=DEVICE)
        found.append(run.step(model, work, weight_B) if run else micro_step(model, work, weight_B))
    return found, [parameter.grad for parameter in own], run


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("kind", [flex.blocks, partial(rows, few=True)])
def test_what_is_padded_and_captured_is_the_mask(kind, captured, monkeypatch):
    wanted_losses, wanted, _ = taken(monkeypatch, rows, False)
    losses, grads, run = taken(monkeypatch, kind, captured)
    for found, right in zip(losses, wanted_losses, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)
    for grad, right in zip(grads, wanted, strict=True):
        assert float((grad - right).norm() / right.norm()) < 1e-4
    if run:
        shared = kind is flex.blocks  # two of STEPS went through one graph
        assert len(run._kept) == len(STEPS) - shared and all(run._kept.values())


@pytest.mark.usefixtures("kernels")
def test_what_has_no_room_to_be_captured_is_computed_all_the_same(monkeypatch):
    wanted, grads, _ = taken(monkeypatch, flex.blocks, False)
    monkeypatch.setattr("slowwave.learn.captured._BYTES", 0)
    found, again, run = taken(monkeypatch, flex.blocks, True)
    assert not any(run._kept.values()) and all(
        torch.equal(one, right) for one, right in zip(found, wanted, strict=True)
    )
    assert all(torch.equal(grad, right) for grad, right in zip(again, grads, strict=True))


@pytest.mark.usefixtures("kernels")
def test_a_captured_step_leaves_a_kept_context_alone(monkeypatch):
    way(monkeypatch, flex.blocks)
    model, own, _ = trained()
    contexts = [Context(tuple(range(128)), tuple((torch.randn(1, 2, 128, 16, device=DEVICE),) * 2 for _ in range(2)))]
    kept = flat(contexts[0].layers)
    wanted = [tensor.clone() for tensor in kept]
    pack = lambda chosen, device: collate_after(chosen, contexts, device)  # noqa: E731
    long = of(contexts[0].tokens, (5, 6))
    run = Captured(own)
    for _ in range(3):
        run.step(model, prepare([(long, None)], DEVICE, pack), torch.ones(1, device=DEVICE))
    contexts[0] = Context(contexts[0].tokens, tuple((keys + 1, values + 1) for keys, values in contexts[0].layers))
    run.step(model, prepare([(long, None)], DEVICE, pack), torch.ones(1, device=DEVICE))
    assert len(run._kept) == 1
    assert all(torch.equal(tensor, right) for tensor, right in zip(kept, wanted, strict=True))


@pytest.mark.skipif(not GPU, reason="needs a GPU")
@pytest.mark.parametrize("long", [False, True])  # long contexts: with compiled norms and MLPs
def test_a_night_on_a_gpu_is_one_on_a_cpu(long):
    begin = tuple(range(3, 103)) * 6 if long else ()
    night = lambda items: [of((*begin, *one.context), one.reply, lesson=one.lesson) for one in items]  # noqa: E731
    wished = settings(context="frozen", micro_tokens=3000)
    found = [
        train(llama(width=64).to(device), night(LESSONS), night(ANCHORS), wished).weights
        for device in (DEVICE, torch.device("cpu"))
    ]
    for key, value in found[1].trainable.items():
        moved = (value - found[1].start[key]).norm()
        assert float((found[0].trainable[key].cpu() - value).norm()) < 1e-2 * float(moved), key


@pytest.mark.parametrize(
    ("count", "size"), [(1, 128), (128, 128), (129, 256), (1024, 1024), (1025, 1152), (2049, 2304), (10_240, 10_240)]
)
def test_sizes_are_few_and_at_most_an_eighth_more(count, size):
    assert padded(count) == size


def test_a_kernel_visits_only_blocks_in_which_something_is_seen():
    draw = torch.Generator().manual_seed(0)
    context = Context(tuple(range(300)), ((torch.zeros(1, 2, 300, 16),) * 2,))
    other = Context(tuple(range(500)), ((torch.zeros(1, 2, 500, 16),) * 2,))
    lengths = torch.randint(1, 90, (9,), generator=draw).tolist()
    firsts = [sum(lengths[:row]) for row in range(9)]
    sequences = [
        Following(int(row > 4), [300, 500][row > 4] - 7 * row, first, length)
        for row, (first, length) in enumerate(zip(firsts, lengths, strict=True))
    ]
    made = flex.blocks([context, other], sequences, torch.device("cpu"))
    assert (made.tokens, made.before[0][0].shape[2]) == (640, 896)
    for span, keys in ((made.own, 640), (made.past, 896)):
        seen_TK = span.mask.mask_mod(None, None, torch.arange(640)[:, None], torch.arange(keys)[None])
        blocks_QK = seen_TK.unflatten(1, (-1, 128)).unflatten(0, (-1, 128)).transpose(1, 2)
        wanted = blocks_QK.flatten(2).any(-1)
        assert torch.equal(span.mask.to_dense()[0, 0].bool(), wanted) and not bool(wanted.all())
        whole = span.mask.full_kv_num_blocks.sum()
        assert whole == blocks_QK.flatten(2).all(-1).sum()


def test_contexts_are_joined_with_room_behind_them():
    make = lambda size: Context(tuple(range(size)), ((torch.rand(1, 2, size, 4), torch.rand(1, 2, size, 4)),))  # noqa: E731
    one, two = make(3), make(5)
    assert joined([one]).layers[0][0] is one.layers[0][0]
    found = joined([one, two], lambda held: held + 4)
    ((keys, values),) = found.layers
    assert keys.shape == values.shape == (1, 2, 12, 4) and not keys[:, :, 8:].any() and found.starts == [0, 3]
    assert torch.equal(values[:, :, :8], torch.cat([one.layers[0][1], two.layers[0][1]], dim=2))


@pytest.mark.parametrize("lengths", [(7, 9, 8), (2, 9, 1)])  # the last would be mostly padding as they lie
def test_contexts_that_were_encoded_side_by_side_are_joined_as_they_lie(lengths):
    made = encode_all(llama(), [tuple(range(3, 3 + length)) for length in lengths])
    wanted = [made[tuple(range(3, 3 + length))] for length in (lengths[2], lengths[1], lengths[0])]
    found = joined(wanted, padded)
    assert found.starts == ([18, 9, 0] if lengths[2] == 8 else [0, 1, 10])
    for layer, (keys, values) in enumerate(found.layers):
        assert keys.shape == values.shape == (1, 2, 128, 8)
        for start, context in zip(found.starts, wanted, strict=True):
            assert torch.equal(keys[:, :, start : start + len(context.tokens)], context.layers[layer][0])
            assert torch.equal(values[:, :, start : start + len(context.tokens)], context.layers[layer][1])


@pytest.mark.parametrize("lengths", [(7, 9, 8), (2, 9, 1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0)])
@pytest.mark.parametrize(("count", "room"), [(3, 9), (4, 16)])
@pytest.mark.parametrize("apart", [False, True])
def test_contexts_lie_beside_each_other_with_room(lengths, order, count, room, apart):
    model, rows_of = llama(), [tuple(range(3, 3 + length)) for length in lengths]
    made = {one: encode(model, one) for one in rows_of} if apart else encode_all(model, rows_of)
    wanted = [made[rows_of[place]] for place in order]
    for layer, (keys, values) in enumerate(beside(wanted, count, room)):
        assert keys.shape == values.shape == (count, 2, room, 8)
        for row, context in enumerate(wanted):
            own = slice(0, len(context.tokens))
            assert torch.equal(keys[row, None, :, own], context.layers[layer][0])
            assert torch.equal(values[row, None, :, own], context.layers[layer][1])


@pytest.mark.parametrize("filled", [False, True])
def test_a_gpus_attention_in_rows_is_the_one_written_out(filled):
    """Grouped heads, contexts of several lengths, rows with empty places: values, and gradients of what counts."""
    device, draw = torch.device("cpu"), torch.Generator().manual_seed(0)
    contexts = [Context(tuple(range(size)), ((torch.randn(1, 2, size, 8, generator=draw),) * 2,)) for size in (5, 0, 9)]
    spans = [Following(0, 4, 0, 6), Following(2, 9, 6, 3), Following(1, 0, 12, 5), Following(0, 5, 17, 2)]
    tensors = [torch.randn(1, heads, 24 if filled else 19, 8, generator=draw) for heads in (4, 2, 2)]
    found = []
    for few, attention in ((False, written_out), (True, fused)):
        packed = rows(contexts, spans, device, tensors[0].shape[2], few=few)
        own = [tensor.clone().requires_grad_() for tensor in tensors]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("slowwave.learn.rows.written_out", attention)
            out = packed.attend(0, *own, None)[0]
        real = [token for one in spans for token in range(one.first, one.first + one.length)]
        (out[real] * torch.arange(8)).sum().backward()
        found.append([out[real], *(tensor.grad for tensor in own)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    nobody = [token for token in range(tensors[0].shape[2]) if token not in real]
    assert nobody and not any(grad[:, :, nobody].any() for grad in found[1][1:])


@pytest.mark.parametrize(
    ("context", "replies", "in_rows"),
    [
        (40, [24] * 20, True),
        (512, [100] * 4, True),
        (513, [5], False),
        (2048, [128] * 8, False),
        (400, [100] * 40, False),
    ],
)
def test_rows_on_a_gpu_are_for_short_contexts(context, replies, in_rows):
    """Of a long one the mask alone would take gigabytes."""
    starts = [sum(replies[:place]) for place in range(len(replies))]
    held = Context(tuple(range(context)), ())
    spans = [Following(0, context, first, length) for first, length in zip(starts, replies, strict=True)]
    assert fits([held], spans) == in_rows
