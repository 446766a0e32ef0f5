"""What the sanity checks share: shares of samples with their intervals, and how much they tolerate."""

from __future__ import annotations

from jaxtyping import Bool
from torch import Tensor

from sparring.core.intervals import wilson
from sparring.runs.schema import Rate, SanityCheck

HALF_A_POINT = 0.005 + 1e-9
"""By how much what should be no more may be more."""


def check(name: str, holds: bool | None, detail: str) -> SanityCheck:
    """One sanity check; `holds` is None where it does not apply."""
    return SanityCheck(name=name, holds=holds, detail=detail)


def share(held: Bool[Tensor, " n"]) -> float:
    """The share of samples of which it is true."""
    return float(held.double().mean())


def rate(held: Bool[Tensor, " n"]) -> Rate:
    """The share of samples of which it is true, with its 95 % interval."""
    return Rate(value=share(held), interval=wilson(int(held.sum()), len(held)))
