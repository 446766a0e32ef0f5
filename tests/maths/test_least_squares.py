"""The least squares GAN on finite spaces, against an optimum by brute force and divergences in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from sparring.core.randomness import Rng
from sparring.objectives import LeastSquares
from sparring.theory.counterexamples import candidates
from sparring.theory.finite_games import distribution
from sparring.theory.least_squares import (
    PEARSON,
    Labels,
    least_squares_discriminator,
    least_squares_generator,
    optimal_least_squares,
    pearson,
)

weights = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4)
labels = st.tuples(*[st.floats(-2.0, 2.0)] * 3).map(lambda values: Labels(*values))
exact = settings(deadline=None, max_examples=40, derandomize=True)
PUBLISHED = Labels(a=0.0, b=1.0, c=1.0)


def games(p: list[float], q: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(distribution(torch.tensor(each, dtype=torch.float64)) for each in (p, q))  # type: ignore[return-value]


@exact
@given(weights, weights, labels)
def test_the_optimal_d_is_that_of_a_numerical_search(p: list[float], q: list[float], aims: Labels) -> None:
    real, made = games(p, q)

    def loss(score: np.ndarray) -> float:
        return float(least_squares_discriminator(real, made, torch.from_numpy(score), aims))

    found = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9})
    assert np.allclose(optimal_least_squares(real, made, aims).numpy(), found.x, atol=1e-4)


@exact
@given(weights, weights)
def test_twice_the_value_of_g_is_pearsons_chi_squared(p: list[float], q: list[float]) -> None:
    """The D of a grid search, and chi^2(P + Q || 2 Q) written out."""
    real, made = games(p, q)
    grid = np.linspace(-1.0, 1.0, 20_001)
    data, model = real.numpy()[:, None], made.numpy()[:, None]
    best = grid[np.argmin(data * (grid - 1) ** 2 + model * (grid + 1) ** 2, axis=1)]
    by_search = ((data + model)[:, 0] * best**2).sum() / 2
    middle = real.numpy() + made.numpy()
    divergence = ((2 * made.numpy() - middle) ** 2 / middle).sum()
    value = float(least_squares_generator(real, made, optimal_least_squares(real, made)))
    assert value == pytest.approx(by_search, abs=1e-4)
    assert 2 * value == pytest.approx(divergence, abs=1e-12)
    assert float(pearson(real + made, 2 * made)) == pytest.approx(divergence, abs=1e-12)


@exact
@given(weights, st.floats(-2.0, 2.0))
def test_every_choice_of_the_papers_labels_gives_the_same_value(p: list[float], c: float) -> None:
    real, made = games(p, p[::-1])
    aims = Labels(a=c - 1, b=c + 1, c=c)
    values = [
        float(least_squares_generator(real, made, optimal_least_squares(real, made, each), each))
        for each in (aims, PEARSON)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-12)


def test_no_other_distribution_is_as_good_as_the_data() -> None:
    data = torch.tensor([0.4, 0.3, 0.2, 0.1, 0.0], dtype=torch.float64)
    others = candidates(data, rng=Rng.of(0), draws=2000)
    all_data = data.expand_as(others)
    value = least_squares_generator(all_data, others, optimal_least_squares(all_data, others))
    at_data = least_squares_generator(data, data, optimal_least_squares(data, data))
    assert float(at_data) == 0.0 and bool((value >= 0).all())
    far = (others - data).abs().sum(-1) > 0.02
    assert bool(far.any()) and float(value[far].min()) > 1e-5


def test_other_labels_give_no_such_divergence() -> None:
    assert PEARSON.b - PEARSON.c == 1 and PEARSON.b - PEARSON.a == 2
    assert PUBLISHED.b - PUBLISHED.c == 0
    data, made = (torch.tensor(each, dtype=torch.float64) for each in ([0.5, 0.5, 0.0], [0.25, 0.25, 0.5]))
    at_data = least_squares_generator(data, data, optimal_least_squares(data, data, PUBLISHED), PUBLISHED)
    assert float(at_data) == pytest.approx(1 / 4)
    assert float(pearson(data, data)) == 0 and float(pearson(data, made)) == torch.inf


def test_the_objective_of_recipes_has_the_published_labels() -> None:
    """D and G of `least_squares` ascend what the functions here say they descend."""
    data = torch.tensor([0.7, 0.3], dtype=torch.float64)
    made = torch.tensor([0.2, 0.8], dtype=torch.float64)
    score, objective = torch.tensor([0.4, -0.1], dtype=torch.float64), LeastSquares()
    of_d = (data * objective.real(score) + made * objective.fake(score)).sum()
    of_g = (data * objective.real(score) + made * objective.generator(score)).sum()
    assert float(of_d) == pytest.approx(-float(least_squares_discriminator(data, made, score, PUBLISHED)))
    assert float(of_g) == pytest.approx(-float(least_squares_generator(data, made, score, PUBLISHED)))
