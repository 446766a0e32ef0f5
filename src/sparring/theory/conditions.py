"""The conditions of Theorems 5 and 6, checked on fine fp64 grids: class H, conditions on psi, mostly honest.

A grid refutes a condition with certainty and confirms it to its resolution. The paper also requires f and psi to be
differentiable; its proofs do not use it, and its own piecewise linear f and sqrt violate it, so it is not checked.

Source: Xu, Li, Jegelka, section 4 and appendix A.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.theory.finite_games import ScoreFunction

STEPS = 1 << 12
TOLERANCE = 1e-12
"""Allowed rounding error, relative to the range of psi or f."""


class Condition(NamedTuple):
    """Whether a condition holds, and its first violation.

    Args:
        holds: no violation was found.
        evidence: the first violation, as text; empty if it holds.
        theta: the first violating theta in [0, 1]; None if it holds.
    """

    holds: bool
    evidence: str = ""
    theta: float | None = None


class Theorem5(NamedTuple):
    """Theorem 5's conditions on one perturbation; either suffices.

    Args:
        unit: psi maps [0, 1] into [0, 1] (definition 2).
        first: psi does not decrease, psi(1/2) = 1/2.
        second: psi does not increase, psi(1/2) = 1/2, and it deviates no more than the flip does:
            psi(theta) + theta is at least 1 for theta > 1/2 and at most 1 below.
    """

    unit: Condition
    first: Condition
    second: Condition

    @property
    def holds(self) -> bool:
        """Whether Theorem 5 covers this perturbation."""
        return self.unit.holds and (self.first.holds or self.second.holds)


class Membership(NamedTuple):
    """The conditions of class H: finite, odd around 1/2 and strictly increasing on [0, 1]."""

    finite: Condition
    odd: Condition
    increasing: Condition

    @property
    def holds(self) -> bool:
        """Whether f is in H."""
        return all(check.holds for check in self)


def theorem_5(psi: Callable[[Tensor], Tensor]) -> Theorem5:
    """Which of Theorem 5's conditions a perturbation satisfies, and where it first violates the others.

    Args:
        psi: elementwise on an fp64 tensor of [0, 1].

    Source: Xu, Li, Jegelka, theorem 5.
    """
    theta = torch.linspace(0.0, 1.0, STEPS + 1, dtype=torch.float64)
    value = psi(theta)
    rise = torch.cat([torch.zeros(1, dtype=torch.float64), value.diff()])
    side = torch.sign(theta - 0.5)
    at_half = _first((side == 0) & ~((value - 0.5).abs() <= TOLERANCE), theta, value, "psi(1/2) is not 1/2")
    return Theorem5(
        unit=_first(~((value >= 0) & (value <= 1)), theta, value, "psi leaves [0, 1]"),
        first=_all(at_half, _first(~(rise >= -TOLERANCE), theta, value, "psi decreases")),
        second=_all(
            at_half,
            _first(~(rise <= TOLERANCE), theta, value, "psi increases"),
            _first(~(side * (value + theta - 1) >= -TOLERANCE), theta, value, "psi deviates more than the flip"),
        ),
    )


def in_h(f: ScoreFunction) -> Membership:
    """Whether a function of the score is in H as a function of theta = sigmoid(score), ends included.

    Near the ends, where fp64 rounds a bounded f to its limit, equal neighbours count as increasing.

    Args:
        f: elementwise on an fp64 tensor of scores, -inf and inf included.

    Source: Xu, Li, Jegelka, section 4.
    """
    end = torch.tensor([torch.inf], dtype=torch.float64)
    inside = torch.logit(torch.arange(STEPS // 2 + 1, STEPS, dtype=torch.float64) / STEPS)
    above = torch.cat([inside, torch.linspace(float(inside[-1]) + 0.1, 36.0, 300, dtype=torch.float64), end])
    score = torch.cat([-above.flip(0), torch.zeros(1, dtype=torch.float64), above])
    theta, value, mirrored = torch.sigmoid(score), f(score), f(-score)
    bound = value[torch.isfinite(value)].abs().max().clamp(min=torch.finfo(torch.float64).tiny)
    uneven = ~((value + mirrored).abs() <= TOLERANCE * bound) & torch.isfinite(value)
    saturated = value.abs() >= (1 - TOLERANCE) * bound
    flat = torch.cat([torch.zeros(1, dtype=torch.bool), saturated[1:] & saturated[:-1]])
    rise = torch.cat([torch.ones(1, dtype=torch.float64), value.diff()])
    grows = (rise > 0) | (flat & (rise >= -TOLERANCE * bound))
    return Membership(
        finite=_first(~torch.isfinite(value), theta, value, "f is not finite"),
        odd=_first(uneven, theta, value, "f(theta) is not -f(1 - theta)"),
        increasing=_first(~grows, theta, value, "f does not increase"),
    )


def is_mostly_honest(honest_probability: float) -> bool:
    """Whether psi(theta) = theta has probability above 1/2, beyond rounding. Source: definition 3."""
    return honest_probability > 0.5 + TOLERANCE


def _first(violated: Tensor, theta: Tensor, value: Tensor, evidence: str) -> Condition:
    if not bool(violated.any()):
        return Condition(True)
    index = int(violated.to(torch.uint8).argmax())
    where = float(theta[index])
    return Condition(False, f"{evidence}: {float(value[index]):.4g} at theta = {where:.4g}", where)


def _all(*checks: Condition) -> Condition:
    return next((check for check in checks if not check.holds), Condition(True))
