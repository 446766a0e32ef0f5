"""Theorems 5 and 6 as computations: what they find where the theorems hold, and where they do not."""

from __future__ import annotations

import pytest
import torch

from sparring.claims.computations.drawn_games import (
    between_half_and_flip,
    drawn_distributions,
    mostly_honest,
    non_decreasing,
    try_all,
)
from sparring.claims.computations.robust_frameworks import FlipMajority, Framework1, Framework2
from sparring.core.randomness import Rng
from sparring.objectives import Cubic, Linear, Log, Sine
from sparring.theory.conditions import theorem_5
from sparring.theory.finite_games import FiniteGame, optimal_odd
from sparring.theory.theorem_coverage import f_generator


def test_random_perturbations_keep_the_conditions_that_they_are_drawn_for() -> None:
    rng = Rng.of(0)
    for _ in range(20):
        rising, falling = theorem_5(non_decreasing(rng)), theorem_5(between_half_and_flip(rng))
        assert rising.unit.holds
        assert rising.first.holds
        assert falling.unit.holds
        assert falling.second.holds


def test_random_adversaries_are_mostly_honest() -> None:
    rng = Rng.of(0)
    for _ in range(20):
        shares = [share for share, _ in mostly_honest(rng, [non_decreasing(rng)] * 3)]
        assert shares[0] > 0.5
        assert sum(shares) == pytest.approx(1)


def test_framework_1_holds_for_covered_perturbations_and_breaks_for_an_overstated_flip() -> None:
    assert Framework1(objective=Cubic()).compute(1)["broken"] == 0
    overstated = Framework1(lies="overstated").compute(1)
    assert overstated["broken"] == 1
    assert overstated["lowest"] < 0


def test_framework_2_keeps_the_bound_of_its_proof_and_the_log_breaks() -> None:
    found = Framework2(objective=Sine()).compute(1)
    assert found["broken"] == 0
    assert found["bound"] is not None
    assert found["bound"] >= 1 - 1e-9
    log = Framework2(objective=Log()).compute(1)
    assert log == {"broken": 1, "bound": None}


@pytest.mark.parametrize(("flip", "broken"), [(0.0, 0), (0.49, 0), (0.5, 1), (0.51, 1), (1.0, 1)])
def test_the_majority_decides(flip: float, broken: float) -> None:
    assert FlipMajority(flip=flip).compute(1)["broken"] == broken


def test_the_search_is_exact_under_the_flip() -> None:
    """Under the flip alone V(Q) - V(P) is 2 (1 - 2 p) f(1) TV for every Q."""
    rng = Rng.of(2)
    (data,) = drawn_distributions(rng, 1)
    adversary = ((0.7, lambda score: score), (0.3, lambda score: -score))
    found = try_all(FiniteGame(optimal_odd, f_generator(Linear()), adversary), data, rng)
    assert torch.allclose(found.excess, 2 * 0.4 * 0.5 * found.distance, atol=1e-12)
    assert found.distance.min() >= 0.01
