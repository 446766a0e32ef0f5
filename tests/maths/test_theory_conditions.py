"""What the theorems ask for: Theorem 5's conditions, the class H, mostly honest, on known cases."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sparring.objectives import Log, SquareRoot, Tanh, Wasserstein
from sparring.theory import in_h, is_mostly_honest, overstated_flip, theorem_5

Psi = Callable[[Tensor], Tensor]
LOG = Log().payoff


@pytest.mark.parametrize(
    ("psi", "first", "second", "theta"),
    [
        (lambda theta: theta, True, False, None),
        (lambda theta: 1 - theta, False, True, None),
        (lambda theta: torch.full_like(theta, 0.5), True, True, None),
        (lambda theta: torch.full_like(theta, 0.9), False, False, 0.5),
        (torch.sqrt, False, False, 0.5),
        (torch.square, False, False, 0.5),
        (overstated_flip, False, False, None),
        (lambda theta: 0.5 + 0.4 * torch.sin(2 * math.pi * theta), False, False, None),
    ],
)
def test_the_conditions_on_known_perturbations(psi: Psi, first: bool, second: bool, theta: float | None) -> None:
    found = theorem_5(psi)
    assert (found.first.holds, found.second.holds) == (first, second)
    assert found.holds == (first or second)
    assert theta is None or found.first.theta == theta


def test_a_violation_names_the_first_place() -> None:
    falls = theorem_5(lambda theta: torch.where(theta > 0.75, 0.2, 0.5).double())
    assert falls.first.theta == pytest.approx(0.75, abs=1e-3)
    assert "psi decreases" in falls.first.evidence
    outside = theorem_5(lambda theta: 2 * theta - 0.5)
    assert outside.unit.theta == 0
    assert not outside.holds
    assert not theorem_5(lambda theta: theta / 0).holds


@pytest.mark.parametrize(
    ("f", "finite", "odd", "increasing"),
    [
        (LOG, False, False, True),
        (Wasserstein().payoff, False, True, True),
        (SquareRoot().payoff, False, True, True),
        (Tanh(scale=3.0, rate=10.0).payoff, True, True, True),
        (torch.sigmoid, True, False, True),
        (lambda score: -torch.tanh(score), True, True, False),
        (lambda score: torch.relu(torch.tanh(score) - 0.1) - torch.relu(-torch.tanh(score) - 0.1), 1, 1, 0),
        (torch.zeros_like, True, True, False),
    ],
)
def test_membership_in_h(f: Psi, finite: bool, odd: bool, increasing: bool) -> None:
    found = in_h(f)
    assert (found.finite.holds, found.odd.holds, found.increasing.holds) == (finite, odd, increasing)


def test_mostly_honest_means_more_than_half() -> None:
    assert is_mostly_honest(0.51)
    assert not is_mostly_honest(0.5)
    assert not is_mostly_honest(1 - (0.1 + 0.2 + 0.2))
