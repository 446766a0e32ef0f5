"""Algorithm 1 as a computation: equal to the library's rounds, and unlike those of another algorithm."""

from __future__ import annotations

import pytest

from sparring.claims.computations.gradient_penalty_round import GradientPenaltyRounds
from sparring.objectives import Erf, Objective, SquareRoot, Tanh


@pytest.mark.parametrize("objective", [Tanh(), Erf(), SquareRoot()])
def test_the_rounds_are_those_of_the_algorithm(objective: Objective) -> None:
    found = GradientPenaltyRounds(objective=objective).compute(0)
    assert max(value for value in found.values()) < 1e-4


@pytest.mark.parametrize("change", [{"weight": 9.0}, {"critic_steps": 4}])
def test_rounds_of_another_algorithm_are_seen(change: dict[str, float]) -> None:
    found = GradientPenaltyRounds.model_validate({"name": "gradient_penalty_rounds"} | change).compute(0)
    assert found["discriminator"] > 1e-3
