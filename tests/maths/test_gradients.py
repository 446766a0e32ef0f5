"""Input gradients in numbers and as pictures, and the exact distance beside the critic, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from sparring.core.modules import input_gradient
from sparring.core.randomness import Rng
from sparring.metrics import wasserstein1, wasserstein2
from sparring.metrics.input_gradients import absolute_sum, picture, sparsity


def test_the_gradient_of_a_linear_score_is_its_weight() -> None:
    weight, x = Rng.of(0).normal((3, 4)).double(), Rng.of(1).normal((2, 5, 3, 4)).double()
    seen = input_gradient(lambda samples: (samples * weight).sum((-2, -1)), x)
    assert torch.equal(seen.gradient, weight.expand(2, 5, 3, 4))
    torch.testing.assert_close(seen.score, (x * weight).sum((-2, -1)))
    torch.testing.assert_close(absolute_sum(seen.gradient, 2), weight.abs().sum().expand(2, 5))
    assert not seen.score.requires_grad and not x.requires_grad


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_sparsity_at_its_ends_whatever_the_size(size: float) -> None:
    one_hot, even, nothing = torch.zeros(1, 2, 8), torch.ones(1, 2, 8), torch.zeros(1, 2, 8)
    one_hot[0, 1, 3], even[0, 0, ::2] = -1.0, -1.0
    assert sparsity(size * one_hot, 1).item() == pytest.approx(1)
    assert sparsity(size * even, 1).item() == pytest.approx(0, abs=1e-6)
    assert sparsity(nothing, 1).item() == 0
    assert sparsity(torch.tensor([[5.0]]), 1).item() == 0


@given(st.integers(1, 40))
@settings(deadline=None, max_examples=20)
def test_sparsity_of_k_equal_entries(k: int) -> None:
    gradient = torch.zeros(2, 40, dtype=torch.float64)
    gradient[:, :k] = 0.3
    expected = (math.sqrt(40) - math.sqrt(k)) / (math.sqrt(40) - 1)
    assert sparsity(gradient, 1).tolist() == pytest.approx([expected] * 2)


def test_sparsity_of_noise_is_what_the_report_says() -> None:
    found = float(sparsity(Rng.of(0).normal((1, 100_000)), 1))
    assert found == pytest.approx(1 - math.sqrt(2 / math.pi), abs=0.01)  # E|g| of a standard normal is sqrt(2 / pi)


def test_a_picture_clips_around_the_mean_and_averages_sizes_over_channels() -> None:
    gradient = torch.zeros(1, 2, 10, 10, dtype=torch.float64)
    gradient[0, :, 4, 5] = torch.tensor([40.0, -1.0])
    std = float(gradient.std(correction=0))
    drawn = picture(gradient)
    assert drawn.shape == (1, 10, 10)
    assert drawn[0, 4, 5].item() == pytest.approx((float(gradient.mean()) + 3 * std + 1) / 2)
    assert drawn.sum().item() == pytest.approx(drawn[0, 4, 5].item())


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_on_a_line_is_scipy_s(seed: int) -> None:
    a, b = Rng.of(seed).normal((60, 1)), 2 * Rng.of(seed + 100).normal((60, 1)) + 1
    assert wasserstein1(a, b) == pytest.approx(wasserstein_distance(a.flatten().numpy(), b.flatten().numpy()), rel=1e-6)


def test_the_distance_bounds_every_critic_of_slope_one_and_a_shift_reaches_it() -> None:
    a = Rng.of(1).normal((50, 2))
    shift = torch.tensor([0.6, -0.8])
    assert wasserstein1(a, a + shift) == pytest.approx(1.0)
    assert float((a + shift).matmul(shift).mean() - a.matmul(shift).mean()) == pytest.approx(1.0, abs=1e-5)
    b = Rng.of(2).normal((50, 2)) * 3
    for centre in Rng.of(3).normal((20, 2)):
        critic = float((b - centre).norm(dim=1).mean() - (a - centre).norm(dim=1).mean())
        assert critic <= wasserstein1(a, b) + 1e-6 <= wasserstein2(a, b) + 1e-6
    with pytest.raises(ValueError, match="different shapes"):
        wasserstein1(a, b[:-1])
