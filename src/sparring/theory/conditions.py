"""What Theorems 5 and 6 ask for, checked on fine fp64 grids: class H, psi's conditions, mostly honest.

Numbers on a grid refute a condition with certainty and confirm it to the grid's resolution. The paper also
asks for differentiable f and psi; its proofs never use it, and its own piecewise linear f and its sqrt at 0
lack it, so it is not asked for here.

Source: Xu, Li, Jegelka, section 4 and appendix A.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.theory.games import ScoreFunction

STEPS = 1 << 12
TOLERANCE = 1e-12
"""Rounding that a psi or an f is forgiven, relative to its range."""


class Check(NamedTuple):
    """Whether a condition holds, and if not, why and where.

    Args:
        holds: no violation was found.
        evidence: what was found instead, in words; empty when it holds.
        theta: the first violating theta in [0, 1]; None when it holds.
    """

    holds: bool
    evidence: str = ""
    theta: float | None = None


class Theorem5(NamedTuple):
    """Theorem 5's conditions on one perturbation; either suffices.

    Args:
        unit: psi maps [0, 1] into [0, 1], as definition 2 has it.
        first: psi does not decrease, psi(1/2) = 1/2.
        second: psi does not increase, psi(1/2) = 1/2, and it lies no more than the flip does:
            psi(theta) + theta is at least 1 above 1/2 and at most 1 below.
    """

    unit: Check
    first: Check
    second: Check

    @property
    def holds(self) -> bool:
        """Whether Theorem 5 covers this perturbation."""
        return self.unit.holds and (self.first.holds or self.second.holds)


class Membership(NamedTuple):
    """What puts an f in H, strictly increasing and odd around 1/2 on all of [0, 1]."""

    finite: Check
    odd: Check
    increasing: Check

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
            _first(~(side * (value + theta - 1) >= -TOLERANCE), theta, value, "psi lies more than the flip"),
        ),
    )


def in_h(f: ScoreFunction) -> Membership:
    """Whether a function of the score is in H once read as one of theta = sigmoid(score), ends included.

    Near the ends, where fp64 rounds a bounded f to its limit, equal neighbours pass for increasing.

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
    saturated = value.abs() >= (1 - TOLERANCE) * bound
    flat = torch.cat([torch.zeros(1, dtype=torch.bool), saturated[1:] & saturated[:-1]])
    rise = torch.cat([torch.ones(1, dtype=torch.float64), value.diff()])
    grows = (rise > 0) | (flat & (rise >= -TOLERANCE * bound))
    return Membership(
        finite=_first(~torch.isfinite(value), theta, value, "f is not finite"),
        odd=_first(
            ~((value + mirrored).abs() <= TOLERANCE * bound) & torch.isfinite(value),
            theta,
            value,
            "f(theta) is not -f(1 - theta)",
        ),
        increasing=_first(~grows, theta, value, "f does not increase"),
    )


def is_mostly_honest(honest_probability: float) -> bool:
    """Whether psi(theta) = theta has probability above 1/2, beyond rounding. Source: definition 3."""
    return honest_probability > 0.5 + TOLERANCE


def _first(violated: Tensor, theta: Tensor, value: Tensor, evidence: str) -> Check:
    if not bool(violated.any()):
        return Check(True)
    index = int(violated.to(torch.uint8).argmax())
    where = float(theta[index])
    return Check(False, f"{evidence}: {float(value[index]):.4g} at theta = {where:.4g}", where)


def _all(*checks: Check) -> Check:
    return next((check for check in checks if not check.holds), Check(True))
