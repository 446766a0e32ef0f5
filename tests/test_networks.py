"""Networks and optimizers: published sizes, initial weights, packing, and the penalty of mixing players up."""

from __future__ import annotations

import math

import pytest
import torch

from sparring.engine.game import frozen
from sparring.errors import UsageError
from sparring.networks import (
    MLPDiscriminatorSpec,
    MLPGeneratorSpec,
    MNISTDiscriminator,
    MNISTGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
)
from sparring.optimizers import Adam, LinearDecay, RMSprop
from sparring.randomness import Rng, Streams, hashed_uniform
from sparring.shapes import IMAGE_BOUNDS, Space, sample_norm

MNIST = Space((1, 28, 28), IMAGE_BOUNDS)
CIFAR = Space((3, 32, 32), IMAGE_BOUNDS)
PLANE = Space((2,), None)


def size(module: torch.nn.Module) -> int:
    """How many parameters a network has."""
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_sizes_are_those_of_the_papers_networks() -> None:
    rng = Rng.of(0)
    assert size(MLPGeneratorSpec(latent=256).build(PLANE, (), rng=rng)) == 256 * 64 + 2 * 64 * 64 + 3 * 64 + 64 * 2 + 2
    assert size(MLPDiscriminatorSpec().build(PLANE, (), rng=rng)) == 2 * 256 + 2 * 256 * 256 + 3 * 256 + 256 + 1
    dense = 256 * 1024 + 1024 + 1024 * 6272 + 6272
    assert size(MNISTGenerator(latent=256).build(MNIST, (), rng=rng)) == dense + 128 * 64 * 16 + 64 + 64 * 16 + 1
    dense = 6272 * 1024 + 1024 + 1024 + 1
    assert (
        size(MNISTDiscriminator(batch_norm=False).build(MNIST, (), rng=rng))
        == dense + 64 * 16 + 64 + 64 * 128 * 16 + 128
    )
    block = 2 * (128 * 128 * 9 + 128)
    shortcut = 128 * 128 + 128
    assert size(ResNetGenerator(latent=128).build(CIFAR, (), rng=rng)) == (
        128 * 2048 + 2048 + 3 * (block + shortcut + 4 * 128) + 2 * 128 + 128 * 27 + 3
    )
    assert size(ResNetDiscriminator().build(CIFAR, (), rng=rng)) == (
        (3 * 9 * 128 + 128) + (128 * 128 * 9 + 128) + (3 * 128 + 128) + (block + shortcut) + 2 * block + 129
    )


def test_initial_weights_follow_their_distribution() -> None:
    network = MNISTGenerator(latent=256).build(MNIST, (), rng=Rng.of(0))
    weights = network.get_parameter("dense.3.weight")
    assert float(weights.detach().std()) == pytest.approx(0.02, rel=0.01)
    assert float(network.get_parameter("dense.3.bias").detach().abs().max()) == 0
    resnet = ResNetDiscriminator().build(CIFAR, (), rng=Rng.of(0))
    bound = math.sqrt(2) * math.sqrt(6 / (9 * 256))
    assert float(resnet.get_parameter("blocks.1.conv1.weight").detach().abs().max()) == pytest.approx(bound, rel=1e-3)


def test_a_packed_network_is_its_games_side_by_side() -> None:
    packed = MLPDiscriminatorSpec(hidden=(8, 8)).build(PLANE, (3,), rng=Streams(5, 3).rng("init"))
    x = Rng.of(0).normal((3, 7, 2))
    for index in range(3):
        single = MLPDiscriminatorSpec(hidden=(8, 8)).build(PLANE, (), rng=Streams(5 + index).rng("init"))
        torch.testing.assert_close(packed(x).score[index], single(x[index]).score)


@pytest.mark.parametrize(("space", "lead"), [(PLANE, ()), (Space((1, 30, 30), IMAGE_BOUNDS), ()), (MNIST, (4,))])
def test_what_does_not_fit_is_refused(space: Space, lead: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        MNISTGenerator(latent=4).build(space, lead, rng=Rng.of(0))


def test_a_frozen_network_passes_gradients_and_gets_none() -> None:
    network = MLPDiscriminatorSpec(hidden=(4,)).build(PLANE, (), rng=Rng.of(0))
    x = torch.zeros(3, 2, requires_grad=True)
    with frozen(network):
        network(x).score.sum().backward()
    assert x.grad is not None
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


def test_linear_decay_ends_where_it_says() -> None:
    schedule = LinearDecay(start=0.5, end=0.1)
    assert [schedule.factor(p) for p in (0.0, 0.5, 0.75, 1.0)] == pytest.approx([1.0, 1.0, 0.55, 0.1])


@pytest.mark.parametrize("optimizer", [Adam(lr=0.1), RMSprop(lr=0.1)])
def test_optimizers_are_elementwise(optimizer: Adam | RMSprop) -> None:
    gradients = Rng.of(0).normal((5, 3, 4))
    together = torch.nn.Parameter(torch.zeros(3, 4))
    apart = [torch.nn.Parameter(torch.zeros(4)) for _ in range(3)]
    built = optimizer.build([together]), optimizer.build(apart)
    for gradient in gradients:
        together.grad = gradient
        for row, each in zip(gradient, apart, strict=True):
            each.grad = row.clone()
        built[0].step()
        built[1].step()
    torch.testing.assert_close(together.detach(), torch.stack([each.detach() for each in apart]))


def test_hashed_numbers_are_uniform_and_a_function_of_the_key() -> None:
    keys = torch.arange(20_000)
    numbers = hashed_uniform(keys, 3)
    assert torch.equal(numbers[7], hashed_uniform(keys[7:8], 3)[0])
    counts = torch.histc(numbers, bins=20, min=0, max=1)
    assert float(((counts - 3000) ** 2 / 3000).sum()) < 45  # chi-square, 19 degrees of freedom, p = 0.0007
    assert abs(float(torch.corrcoef(numbers.T)[0, 1])) < 0.03


def test_streams_are_independent_of_each_other() -> None:
    draws = [Streams(seed).rng(name, number).normal((2000,)) for seed in (0, 1) for name in "ab" for number in (0, 1)]
    correlations = torch.corrcoef(torch.stack(draws)) - torch.eye(8)
    assert float(correlations.abs().max()) < 0.1


def test_a_norm_is_smooth_at_zero() -> None:
    x = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(sample_norm(x, 1).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert first.isfinite().all() and second.isfinite().all()
