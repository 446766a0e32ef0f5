"""Verdicts on statements: intervals over seeds, tests, Holm's correction within a claim.

A statement has one number for each seed; for a comparison it is the difference of the two sides. Its mean has a 95 %
interval and a two-sided p-value against zero:

* successes and failures on both sides: Agresti and Min's interval for matched pairs, half a pair added to each of the
  four kinds of pairs;
* a share of successes against a number, where it is the same in all seeds: Wilson's score over the games of all seeds;
* otherwise Student's t over the seeds. Seeds whose numbers are all equal have no spread: the interval is a point.

For `near` the p-value is that of two one-sided tests against -margin and margin where the mean is between them, and of
the two-sided test against the nearer one where it is beyond. All statements of a claim are corrected together by Holm's
method.

Source: Agresti and Min, Statistics in Medicine 24 (2005), section 3; Wilson, Journal of the American Statistical
Association 22 (1927); Holm, Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal, get_args

from scipy.special import ndtr, ndtri, stdtr

from sparring.claims.statements import Sample
from sparring.core.intervals import student, wilson

Verdict = Literal["holds", "contradicted", "undecided", "not comparable", "not played"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
LEVEL = 0.05
"""Of the tests, after Holm's correction."""
FEWEST_SEEDS = 5
"""With fewer pairs a statement is undecided."""


@dataclass(frozen=True)
class Estimate95:
    """A mean over seeds.

    Args:
        mean: of the numbers.
        interval: 95 %.
        p: of the test.
        method: of interval and test.
    """

    mean: float
    interval: tuple[float, float]
    p: float
    method: str


def estimate(sample: Sample) -> Estimate95 | None:
    """The mean of a statement's numbers with interval and p-value; None with fewer than two numbers."""
    if len(sample.values) < 2:
        return None
    if sample.is_binary:
        return matched_pairs(sample)
    if sample.games and len(set(sample.values)) == 1:
        return share_of_games(sample)
    mean, interval = fmean(sample.values), student(sample.values)
    if sample.aim == "near":
        p = _p_of_near(mean, sample.margin, lambda sign, bound: _t_above([sign * v for v in sample.values], bound))
        return Estimate95(mean, interval, p, "two one-sided t tests over seeds")
    above = _t_above(sample.values, 0.0)
    return Estimate95(mean, interval, 2 * min(above, 1 - above), "Student's t over seeds")


def matched_pairs(sample: Sample) -> Estimate95:
    """The difference of two success rates over the same seeds, less the margin unless it should be near zero.

    With half a pair added to each kind, n' = n + 2 pairs and b', c' discordant ones:

        (b' - c') / n'  -+  z sqrt(b' + c' - (b' - c')^2 / n') / n'

    Args:
        sample: its sides are 1 for a success, 0 for a failure.
    """
    count = len(sample.sides) + 2
    wins = sum(left > right for left, right in sample.sides) + 0.5
    losses = sum(left < right for left, right in sample.sides) + 0.5
    centre = (wins - losses) / count
    error = math.sqrt(wins + losses - (wins - losses) ** 2 / count) / count
    z = float(ndtri(0.975))
    low, high = max(-1.0, centre - z * error), min(1.0, centre + z * error)
    mean, method = fmean(sample.values), "Agresti and Min's matched pairs over seeds"
    if sample.aim == "near":
        p = _p_of_near(mean, sample.margin, lambda sign, bound: float(ndtr(-(sign * centre - bound) / error)))
        return Estimate95(mean, (low, high), p, f"two one-sided tests by {method}")
    p = 2 * float(ndtr(-abs(centre - sample.margin) / error))
    return Estimate95(mean, (low - sample.margin, high - sample.margin), p, method)


def share_of_games(sample: Sample) -> Estimate95:
    """The share of successes among the games of all seeds, less the margin b, by the score test, which needs no spread:

        z = (share - b) / sqrt(b (1 - b) / n)

    whose interval is Wilson's, less b.

    Args:
        sample: its values are shares of `games` games each, less the margin.
    """
    count, bound, mean = sample.games * len(sample.values), sample.margin, fmean(sample.values)
    low, high = wilson(round((mean + bound) * count), count)
    error = math.sqrt(bound * (1 - bound) / count)
    p = 2 * float(ndtr(-abs(mean) / error))
    return Estimate95(mean, (low - bound, high - bound), p, "Wilson's score over games")


def _p_of_near(mean: float, margin: float, p_above: Callable[[int, float], float]) -> float:
    """p of "the mean is not within the margin" where it is, and of "the mean is not beyond it" where that is so.

    Args:
        mean: over seeds.
        margin: on both sides of zero.
        p_above: p of "the mean, times 1 or -1, is not above a bound".
    """
    if abs(mean) <= margin:
        return max(p_above(1, -margin), p_above(-1, -margin))
    return min(1.0, 2 * min(p_above(1, margin), p_above(-1, margin)))


def _t_above(values: Sequence[float], bound: float) -> float:
    """p of the one-sided t test of "the mean is not above the bound"; 0 or 1 where all values are equal."""
    mean, spread = fmean(values) - bound, stdev(values)
    if spread == 0:
        return 0.0 if mean > 0 else 1.0 if mean < 0 else 0.5
    return float(stdtr(len(values) - 1, -mean / (spread / math.sqrt(len(values)))))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: the i-th smallest of m times m - i + 1, made monotone."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, largest = [0.0] * len(ps), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - place) * ps[index]))
        adjusted[index] = largest
    return adjusted


def verdict_on(sample: Sample, found: Estimate95 | None, adjusted: float) -> Verdict:
    """The verdict on one statement.

    Args:
        sample: its numbers.
        found: their estimate.
        adjusted: p after Holm's correction.
    """
    if found is None or len(sample.values) < FEWEST_SEEDS:
        return "undecided"
    low, high = found.interval
    if adjusted >= LEVEL:
        return "undecided"
    if sample.aim == "near":
        return "holds" if abs(found.mean) <= sample.margin else "contradicted"
    return "holds" if (low + high) > 0 else "contradicted"


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim: the worst of its statements, without those that cannot be compared unless all are so."""
    judged = [verdict for verdict in verdicts if verdict != "not comparable"]
    if not judged:
        return "not comparable"
    for worst in ("not played", "contradicted", "undecided"):
        if worst in judged:
            return worst
    return "holds"
