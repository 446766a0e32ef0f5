"""The mean of a number over seeds, with its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from sparring.core.intervals import student, wilson
from sparring.report.metric_info import SUCCESS, MetricInfo


@dataclass(frozen=True)
class SeedMean:
    """A mean over seeds.

    Args:
        mean: of the numbers.
        low, high: 95 % interval; both the mean itself for a single seed.
        seeds: how many.
    """

    mean: float
    low: float
    high: float
    seeds: int

    def within(self, low: float | None, high: float | None) -> SeedMean:
        """With the interval inside the range of the measure; None leaves an end open."""
        least = self.low if low is None else max(self.low, low)
        return replace(self, low=least, high=self.high if high is None else min(self.high, high))


def seed_mean(numbers: Sequence[float], measure: str) -> SeedMean | None:
    """The mean with Wilson's interval for the measure `success`, else Student's t; None without numbers."""
    if not len(numbers):
        return None
    mean, low, high = fmean(numbers), numbers[0], numbers[0]
    if measure == SUCCESS:
        low, high = wilson(round(sum(numbers)), len(numbers))
    elif len(numbers) > 1:
        low, high = student(numbers)
    return SeedMean(mean, float(low), float(high), len(numbers))


def seed_interval(metric: MetricInfo, numbers: Sequence[float]) -> tuple[float, float] | None:
    """The interval of the mean, inside the range of the metric; None where it has no width: seeds do not differ."""
    found = seed_mean(numbers, metric.name)
    if found is None or found.low == found.high:
        return None
    found = found.within(metric.lowest, 1.0 if metric.is_share else None)
    return found.low, found.high
