"""Fréchet distances of moments, and the bootstrap interval against a refit of every resample."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from sparring.core.randomness import Rng
from sparring.metrics import FrechetTo, frechet_distance, frechet_interval, moments


def points(count: int, features: int, *, seed: int, scale: float = 1.0) -> torch.Tensor:
    """Correlated points."""
    return scale * Rng.of(seed).normal((count, features)) @ Rng.of(0).normal((features, features))


def by_matrix_root(a: np.ndarray, b: np.ndarray) -> float:
    s_a, s_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s_a + s_b - 2 * sqrtm(s_a @ s_b).real))


def test_moments_of_parts_are_those_of_the_whole() -> None:
    whole = points(100, 6, seed=1) + 50
    found = moments(torch.split(whole, 33))
    assert found.count == 100
    np.testing.assert_allclose(found.mean.numpy(), whole.double().mean(0).numpy(), rtol=1e-12)
    np.testing.assert_allclose(found.covariance.numpy(), np.cov(whole.double().numpy(), rowvar=False), rtol=1e-6)


@pytest.mark.parametrize("count", [300, 5])
def test_the_distance_of_moments_is_that_of_the_points(count: int) -> None:
    a, b = points(count, 12, seed=1), points(200, 12, seed=2, scale=1.4) + 0.5
    found = FrechetTo(moments([b]))(moments([a]))
    assert found == pytest.approx(frechet_distance(a, b), rel=1e-6)
    assert FrechetTo(moments([a]))(moments([a])) == pytest.approx(0, abs=1e-6)


def test_the_interval_is_that_of_refitted_resamples() -> None:
    a, b = points(150, 5, seed=1), points(400, 5, seed=2, scale=1.3) + 0.4
    found = frechet_interval(a, FrechetTo(moments([b])), rng=Rng.of(7), resamples=40)
    x, y, rng = a.double().numpy(), b.double().numpy(), Rng.of(7)
    refits = np.array([by_matrix_root(x[rng.integers((150,), 150).numpy()], y) for _ in range(40)])
    low, high = np.quantile(refits - refits.mean(), [0.025, 0.975])
    value = by_matrix_root(x, y)
    assert found == pytest.approx((value + low, value + high), rel=1e-6)
    assert refits.mean() > value, "resamples are biased, which is why they are centred"


def test_the_interval_covers_the_mean_distance_of_as_many_images() -> None:
    reference, distances, intervals = FrechetTo(moments([points(2000, 4, seed=1)])), [], []
    for seed in range(2, 202):
        drawn = points(100, 4, seed=seed, scale=1.2) + 0.5
        distances.append(reference(moments([drawn])))
        intervals.append(frechet_interval(drawn, reference, rng=Rng.of(seed), resamples=60))
    expected = np.mean(distances)
    covered = np.mean([low <= expected <= high for low, high in intervals])
    assert 0.87 <= covered <= 0.99
    widths = np.mean([high - low for low, high in intervals]) / (2 * 1.96)
    assert widths == pytest.approx(np.std(distances), rel=0.2)


def test_an_interval_is_not_below_zero() -> None:
    a = points(30, 4, seed=1)
    low, high = frechet_interval(a, FrechetTo(moments([a])), rng=Rng.of(0))
    assert 0 <= low < high
