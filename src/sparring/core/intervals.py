"""Confidence intervals for the numbers that runs report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev


def wilson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion; it stays inside [0, 1] and is sensible for few trials.

    Args:
        successes: how often it happened.
        trials: how often it could have.
        level: confidence level.

    Raises:
        ValueError: no trials, or more successes than trials.

    Example:
        >>> low, high = wilson(5, 5)
        >>> round(low, 2), high
        (0.57, 1.0)
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes in {trials} trials")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == trials else centre + half)


def student(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's t interval for the mean of a normal distribution: mean -+ t s / sqrt(n).

    Args:
        values: independent draws.
        level: confidence level.

    Raises:
        ValueError: fewer than two values.
    """
    from scipy.special import stdtrit  # half a second that a training need not wait

    count = len(values)
    if count < 2:
        raise ValueError(f"{count} values have no spread")
    half = float(stdtrit(count - 1, 0.5 + level / 2)) * stdev(values) / math.sqrt(count)
    return fmean(values) - half, fmean(values) + half


def percent(share: float, digits: int = 1) -> str:
    """A share in percent, as text."""
    return f"{100 * share:.{digits}f} %"
