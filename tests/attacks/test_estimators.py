"""Estimates of a gradient from values of the loss: closed forms of their errors, and convergence to the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.attacks import FGSM, NES, SPSA, FiniteDifferences, GradientEstimator, RandomDirection
from sparring.core.modules import input_gradient
from sparring.core.randomness import Rng
from sparring.core.records import InvalidRecord
from sparring.core.shapes import Bounds, Space

SPACE = Space((2, 3, 3), Bounds(-1.0, 1.0))
FEATURES = 18
GRADIENT = Rng.of(1).normal(SPACE.shape).double()


def linear(samples: Tensor) -> Tensor:
    return (samples * GRADIENT).sum((-3, -2, -1))


def network_loss(count: int) -> Callable[[Tensor], Tensor]:
    """The cross-entropy of a small random network with curvature, fp64."""
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Linear(FEATURES, 16), nn.Tanh(), nn.Linear(16, 4)
    network = nn.Sequential(*layers).double()
    for parameter in network.parameters():
        parameter.data.mul_(3)
    labels = torch.arange(count) % 4
    return lambda samples: F.cross_entropy(network(samples), labels, reduction="none")


def samples(count: int) -> Tensor:
    return Rng.of(2).uniform((count, *SPACE.shape), -1.0, 1.0).double()


def estimate(estimator: GradientEstimator, x: Tensor, loss: Callable[[Tensor], Tensor], space: Space = SPACE) -> Tensor:
    return estimator.estimate(x, loss, space=space, rng=Rng.of(3))


def cosine(estimator: GradientEstimator, count: int = 64) -> Tensor:
    loss, x = network_loss(count), samples(count)
    true = input_gradient(loss, x).gradient
    return F.cosine_similarity(estimate(estimator, x, loss).flatten(1), true.flatten(1))


def test_finite_differences_are_the_gradient() -> None:
    assert (cosine(FiniteDifferences()) > 1 - 1e-6).all()
    loss, x = network_loss(8), samples(8)
    true = input_gradient(loss, x).gradient
    errors = [float((estimate(FiniteDifferences(h=h), x, loss) - true).abs().max()) for h in (0.02, 0.01, 0.005)]
    assert [a / b for a, b in pairwise(errors)] == pytest.approx([4, 4], rel=0.15)  # O(h^2)


@pytest.mark.parametrize(("estimator", "excess"), [(NES, FEATURES + 1), (SPSA, FEATURES - 1)])
@pytest.mark.parametrize("count", [1, 5, 40])
def test_smoothed_estimates_have_the_moments_of_theory(estimator: type[NES | SPSA], excess: int, count: int) -> None:
    """E g = gradient and E |g|^2 = |gradient|^2 (1 + excess / samples), for a linear loss."""
    x = samples(3000)
    found = estimate(estimator(samples=count), x, linear).flatten(1)
    true = GRADIENT.flatten()
    spread = found.std(0) / math.sqrt(len(x))
    assert ((found.mean(0) - true).abs() < 4.5 * spread).all()
    sizes = found.square().sum(1) / true.square().sum()
    assert float(sizes.mean()) == pytest.approx(1 + excess / count, abs=4.5 * float(sizes.std()) / math.sqrt(len(x)))


@pytest.mark.parametrize("estimator", [NES, SPSA])
def test_smoothed_estimates_turn_to_the_gradient_with_samples(estimator: type[NES | SPSA]) -> None:
    means = [float(cosine(estimator(samples=count)).mean()) for count in (1, 4, 16, 64, 256, 1024)]
    assert means == sorted(means)
    assert means[0] < 0.4 and means[-1] > 0.985
    assert means[3] == pytest.approx(math.sqrt(64 / (64 + FEATURES)), abs=0.03)


@pytest.mark.parametrize("make", [lambda: NES(sigma=0), lambda: SPSA(sigma=0), lambda: FiniteDifferences(h=0)])
def test_a_difference_over_no_distance_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InvalidRecord, match="greater than 0"):
        make()


def test_a_step_along_estimates_cannot_be_made_from_a_known_gradient() -> None:
    assert FGSM().can_reuse() and FGSM(source=RandomDirection()).can_reuse()
    attack = FGSM(source=NES())
    assert not attack.can_reuse()
    with pytest.raises(NotImplementedError):
        attack.from_gradient(samples(2), samples(2), space=SPACE, rng=Rng.of(0))
