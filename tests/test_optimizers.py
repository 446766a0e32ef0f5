"""Optimizers and learning-rate schedules."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sparring.core.eager_optimizers import EagerAdam, EagerAdamW, EagerSGD
from sparring.core.randomness import Rng
from sparring.core.records import InvalidRecord
from sparring.optimizers import SGD, CosineDecay, LinearDecay, OneCycle, RMSprop
from sparring.runs.tensors import load_optimizer_state, optimizer_state


def test_linear_decay_ends_where_it_says() -> None:
    schedule = LinearDecay(start=0.5, end=0.1)
    assert [schedule.factor(p) for p in (0.0, 0.5, 0.75, 1.0)] == pytest.approx([1.0, 1.0, 0.55, 0.1])


def test_rmsprop_is_torchs_to_the_bit() -> None:
    ours, theirs = (torch.nn.Parameter(Rng.of(0).normal((7, 3))) for _ in range(2))
    mine = RMSprop(lr=0.01, alpha=0.97, epsilon=1e-5).build([ours])
    other = torch.optim.RMSprop([theirs], lr=0.01, alpha=0.97, eps=1e-5, foreach=True)
    for gradient in Rng.of(1).normal((20, 7, 3)):
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        other.step()
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("inside", [True, False])
def test_rmsprop_follows_its_recurrence(inside: bool) -> None:
    """TensorFlow 1: v = 1 at the start, epsilon inside the root. Fifty steps by hand in fp64."""
    settings = RMSprop(lr=0.05, alpha=0.9, epsilon=1e-3, epsilon_inside_root=inside, initial_square=1.0)
    parameter = torch.nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64))
    optimizer = settings.build([parameter])
    gradients = torch.randn(50, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 30
    position, square = parameter.tolist(), [1.0] * 5
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        for place, slope in enumerate(gradient.tolist()):
            square[place] = 0.9 * square[place] + 0.1 * slope**2
            divisor = (square[place] + 1e-3) ** 0.5 if inside else square[place] ** 0.5 + 1e-3
            position[place] -= 0.05 * slope / divisor
    torch.testing.assert_close(parameter.detach(), torch.tensor(position, dtype=torch.float64), rtol=1e-12, atol=0)


def test_the_mean_square_of_rmsprop_survives_a_checkpoint() -> None:
    settings = RMSprop(lr=0.05, initial_square=1.0)
    parameters = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)]
    first, second = (settings.build([parameter]) for parameter in parameters)
    for gradient in Rng.of(0).normal((4, 3)):
        parameters[0].grad = gradient
        first.step()
    load_optimizer_state(second, optimizer_state(first))
    assert torch.equal(second.state[parameters[1]]["square_avg"], first.state[parameters[0]]["square_avg"])


def test_cosine_and_one_cycle_are_their_formulas() -> None:
    cosine = CosineDecay(warmup=0.2, end=0.1)
    assert [cosine.factor(p) for p in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx([0.0, 0.5, 1.0, 0.55, 0.1])
    assert CosineDecay().factor(0.25) == pytest.approx((1 + 0.5**0.5) / 2)
    cycle = OneCycle(peak=0.4, start=0.2, end=0.1)
    assert [cycle.factor(p) for p in (0.0, 0.2, 0.4, 0.7, 1.0)] == pytest.approx([0.2, 0.6, 1.0, 0.55, 0.1])


def test_weight_decay_spares_biases_and_normalisation_layers() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Linear(4, 5)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(2.0)
    optimizer = SGD(lr=0.1, weight_decay=0.5, decayed="kernels").build(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    found = {name: value.flatten()[0].item() for name, value in network.state_dict().items() if "num" not in name}
    decayed, spared = 2 - 0.1 * (1 + 0.5 * 2), 2 - 0.1
    for name in ("0.weight", "2.weight"):
        assert found[name] == pytest.approx(decayed)
    for name in ("0.bias", "1.weight", "1.bias", "2.bias"):
        assert found[name] == pytest.approx(spared)


def test_sgd_with_nesterovs_momentum_follows_its_recurrence() -> None:
    settings = SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.3, decayed="kernels")
    kernel, bias = torch.nn.Parameter(torch.ones(1, 1).double()), torch.nn.Parameter(torch.ones(1).double())
    optimizer = settings.build([kernel, bias])
    places, speeds = [1.0, 1.0], [0.0, 0.0]
    for slope in (0.5, -0.2, 0.7):
        kernel.grad, bias.grad = torch.full_like(kernel, slope), torch.full_like(bias, slope)
        optimizer.step()
        for index, decay in enumerate((0.3, 0.0)):
            gradient = slope + decay * places[index]
            speeds[index] = 0.9 * speeds[index] + gradient
            places[index] -= 0.1 * (gradient + 0.9 * speeds[index])
    assert [kernel.item(), bias.item()] == pytest.approx(places, rel=1e-12)
    again = settings.build([kernel, bias])
    load_optimizer_state(again, optimizer_state(optimizer))
    assert again.state[bias]["momentum_buffer"].item() == pytest.approx(speeds[1])
    with pytest.raises(InvalidRecord, match="there is no momentum"):
        SGD(lr=0.1, nesterov=True)


@pytest.mark.parametrize(
    ("ours", "theirs", "keys"),
    [
        (EagerAdam, torch.optim.Adam, {"betas": (0.5, 0.9), "fused": True}),
        (EagerAdamW, torch.optim.AdamW, {"weight_decay": 0.05}),
        (EagerSGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ],
)
def test_eager_optimizers_are_those_of_torch_to_the_bit(ours: Any, theirs: Any, keys: dict[str, Any]) -> None:
    """A checkpoint of one is one of the other."""
    parameters = [torch.nn.Parameter(Rng.of(0).normal((7, 3))) for _ in range(2)]
    optimizers = [kind([one], lr=0.01, **keys) for kind, one in zip((ours, theirs), parameters, strict=True)]
    for step, gradient in enumerate(Rng.of(1).normal((20, 7, 3))):
        for parameter, optimizer in zip(parameters, optimizers, strict=True):
            optimizer.zero_grad()
            assert parameter.grad is None
            parameter.grad = gradient.clone()
            optimizer.step()
        if step == 9:
            first, second = (optimizer.state_dict() for optimizer in optimizers)
            optimizers[0].load_state_dict(second)
            optimizers[1].load_state_dict(first)
    assert torch.equal(*parameters)
    assert not torch.equal(parameters[0], Rng.of(0).normal((7, 3)))
