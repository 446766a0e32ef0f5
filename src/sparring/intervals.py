"""Confidence intervals for the numbers that runs report."""

from __future__ import annotations

import math

from scipy.special import ndtri


def wilson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion; it stays inside [0, 1] and is sensible for few trials.

    Args:
        successes: how often it happened.
        trials: how often it could have.
        level: confidence level.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes in {trials} trials")
    z = float(ndtri(0.5 + level / 2))
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == trials else centre + half)
