"""APOLLO equals its line-by-line twin, resumes bit for bit, and keeps small state."""

import io

import pytest
import torch

from slowwave.learn import apollo
from slowwave.learn.apollo import Apollo
from tests.unit.learn.apollo_twin import twin

SHAPES = [(6, 9), (9, 6)]
MINI = {"rank": 1, "scale": 128.0, "tensorwise": True}


@pytest.fixture(params=["copied beside its like", "where it lies"])
def small(request, monkeypatch):
    """Both ways in which gradients of one shape are read."""
    if request.param == "where it lies":
        monkeypatch.setattr(apollo, "_SMALL", {})


def projection(optimizer, weight):
    """P [rank, width] that the last step of `weight` took."""
    key = next(key for key in optimizer._drawn if id(weight) in key)
    return torch.cat(optimizer._drawn[key][1])[key.index(id(weight))]


def gradients(shape, count, seed=5):
    """Some of very different size, so that the limiter has something to do."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) * (1 + 9 * (i % 3 == 2)) for i in range(count)]


def matrix(shape, dtype=torch.float32):
    return torch.nn.Parameter(torch.linspace(-1, 1, shape[0] * shape[1]).view(shape).to(dtype))


def run(optimizer, parameters, grads):
    for row in grads:
        for parameter, grad in zip(parameters, row, strict=True):
            parameter.grad = grad.to(parameter.dtype)
        optimizer.step()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", [{"rank": 3, "scale": 4.0, "tensorwise": False}, MINI])
def test_it_is_the_papers_algorithm(shape, options):
    rest = {"lr": 0.01, "redraw": 4, "weight_decay": 0.1, "growth": 1.01}
    weight, drawn = matrix(shape), []
    optimizer = Apollo([weight], seed=7, **rest, **options)
    start, grads = weight.detach().clone(), gradients(shape, 10)
    for i, grad in enumerate(grads):
        run(optimizer, [weight], [[grad]])
        if i % 4 == 0:
            drawn.append(projection(optimizer, weight))
    turned = (lambda x: x) if shape[0] <= shape[1] else torch.t
    expected = twin(turned(start), [turned(grad) for grad in grads], projections=drawn, **rest, **options)
    torch.testing.assert_close(turned(weight.detach()).double(), expected, rtol=1e-5, atol=1e-6)
    assert len({tuple(p.flatten().tolist()) for p in drawn}) == 3, "redrawn after four steps and after eight"


@pytest.mark.parametrize("options", [{"rank": 3, "scale": 4.0, "tensorwise": False}, MINI])
def test_matrices_of_one_shape_move_together_and_each_as_alone(options, small):
    """The second has no gradient now and then: its moments, its projection and its limiter wait."""
    rest = {"lr": 0.01, "redraw": 4, "weight_decay": 0.1, "growth": 1.01}
    weights, drawn = [matrix((6, 9)) for _ in range(3)], [[], [], []]
    start = weights[0].detach().clone()
    grads = [gradients((6, 9), 10, seed) for seed in range(3)]
    grads[1] = [grad for i, grad in enumerate(grads[1]) if i not in (2, 3, 7)]
    optimizer, seen = Apollo(weights, seed=7, **rest, **options), [0, 0, 0]
    for i in range(10):
        for place, weight in enumerate(weights):
            weight.grad = None if place == 1 and i in (2, 3, 7) else grads[place][seen[place]]
        optimizer.step()
        for place, weight in enumerate(weights):
            if weight.grad is not None:
                if seen[place] % 4 == 0:
                    drawn[place].append(projection(optimizer, weight))
                seen[place] += 1
    for weight, mine, projections in zip(weights, grads, drawn, strict=True):
        expected = twin(start, mine, projections=projections, **rest, **options)
        torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-5, atol=1e-6)


def test_a_step_of_many_matrices_is_as_few_operations_as_of_few(monkeypatch):
    def operations(count):
        weights = [matrix((8, 16)) for _ in range(count)]
        optimizer = Apollo(weights, 0.01, rank=2)
        run(optimizer, weights, [[torch.ones(8, 16)] * count])
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            optimizer.step()
        return sum(event.count for event in profile.key_averages() if event.key.startswith("aten::"))

    assert operations(12) - operations(2) <= 10 * 6, "an update and its views each"
    monkeypatch.setattr(apollo, "_SMALL", {})
    assert operations(12) - operations(2) < 10 * 18, "a product, a norm, an update and their views each"


def test_the_state_of_many_is_written_once():
    weights = [matrix((32, 64)) for _ in range(20)]
    optimizer = Apollo(weights, 0.01, rank=4)
    run(optimizer, weights, [[torch.ones(32, 64)] * 20])
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    assert file.tell() < 2 * 20 * 2 * 4 * 64 * 4


def test_projections_have_the_papers_size_and_come_from_the_seed():
    def drawn(seed, index):
        weights = [matrix((300, 400)) for _ in range(2)]
        optimizer = Apollo(weights, 0.1, rank=200, seed=seed)
        run(optimizer, weights, [[torch.ones(300, 400)] * 2])
        return projection(optimizer, weights[index])

    one = drawn(1, 0)
    assert one.shape == (200, 300) and one.var().item() == pytest.approx(1 / 200, rel=0.05)
    assert torch.equal(one, drawn(1, 0))
    assert not torch.equal(one, drawn(2, 0)) and not torch.equal(one, drawn(1, 1))


def test_what_is_no_matrix_gets_adamw():
    ours, theirs = (torch.nn.Parameter(torch.ones(5)) for _ in range(2))
    grads = [[torch.randn(5, generator=torch.Generator().manual_seed(i))] for i in range(6)]
    run(Apollo([ours], 0.01, weight_decay=0.1), [ours], grads)
    run(torch.optim.AdamW([theirs], 0.01, weight_decay=0.1), [theirs], grads)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(dtype):
    grads = [[grad, grad[0]] for grad in gradients((8, 16), 12)]

    def fresh():
        parameters = [matrix((8, 16), dtype), torch.nn.Parameter(torch.ones(16, dtype=dtype))]
        return parameters, Apollo(parameters, 0.01, rank=2, redraw=5)

    whole, optimizer = fresh()
    run(optimizer, whole, grads)
    first, optimizer = fresh()
    run(optimizer, first, grads[:6])
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    rest, resumed = fresh()
    for parameter, value in zip(rest, first, strict=True):
        parameter.data.copy_(value.data)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    run(resumed, rest, grads[6:])
    assert all(torch.equal(a, b) for a, b in zip(whole, rest, strict=True))
    assert {value.dtype for value in resumed.state[rest[0]].values() if isinstance(value, torch.Tensor)} == {
        torch.float32
    }


@pytest.mark.parametrize(("options", "most"), [({"rank": 16}, 1 / 8), (MINI, 0.01)])
def test_its_state_is_small(options, most):
    weight = matrix((256, 512))
    optimizer = Apollo([weight], 0.01, **options)
    run(optimizer, [weight], [[torch.ones(256, 512)]])
    state = sum(value.numel() for value in optimizer.state[weight].values() if isinstance(value, torch.Tensor))
    assert state <= most * 2 * weight.numel(), "of AdamW's two moments"


def test_groups_have_their_own_rates_and_a_missing_gradient_is_left_alone():
    moved, still, without = matrix((4, 8)), matrix((4, 8)), matrix((4, 8))
    optimizer = Apollo([{"params": [moved], "lr": 0.1}, {"params": [still, without]}], lr=0.0, rank=2)
    moved.grad, still.grad = torch.ones(4, 8), torch.ones(4, 8)
    start = without.detach().clone()
    optimizer.step()
    assert not torch.equal(moved, start)
    assert torch.equal(still, start) and torch.equal(without, start) and without not in optimizer.state


def test_without_a_scale_the_steps_are_as_long_as_adamws():
    length = {}
    for name, make in {
        "apollo": lambda w: Apollo([w], 1.0, rank=32),
        "adamw": lambda w: torch.optim.AdamW([w], 1.0),
    }.items():
        weight = matrix((256, 320))
        start = weight.detach().clone()
        run(make(weight), [weight], [[torch.randn(256, 320, generator=torch.Generator().manual_seed(1))]])
        length[name] = (weight.detach() - start).norm().item()
    assert length["apollo"] == pytest.approx(length["adamw"], rel=0.05)


def test_a_gradient_of_zero_moves_nothing():
    weight = matrix((4, 8))
    start, optimizer = weight.detach().clone(), Apollo([weight], 0.1, rank=2)
    run(optimizer, [weight], [[torch.zeros(4, 8)]] * 3)
    assert torch.equal(weight, start)
