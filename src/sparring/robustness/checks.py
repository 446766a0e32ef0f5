"""Check: one reason to believe a number, or not to."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Bool
from torch import Tensor

from sparring.core.intervals import wilson

HALF_A_POINT = 0.005 + 1e-9
"""By how much what should be no more may be more."""


class Check(NamedTuple):
    """What one row of the battery found.

    Args:
        name: what should be so.
        holds: whether it is; None where it does not apply.
        detail: the numbers behind it, or why it does not apply.
    """

    name: str
    holds: bool | None
    detail: str

    def row(self) -> dict[str, Any]:
        """As robustness.json has it."""
        return {"check": self.name, "holds": self.holds, "detail": self.detail}


def share(held: Bool[Tensor, " n"]) -> float:
    """The share of samples of which it is true."""
    return float(held.double().mean())


def rate(held: Bool[Tensor, " n"]) -> dict[str, Any]:
    """The share of samples of which it is true, with its 95 % interval."""
    return {"value": share(held), "interval": list(wilson(int(held.sum()), len(held)))}


def percent(value: float) -> str:
    """A share for people."""
    return f"{100 * value:.1f} %"
