"""Fréchet distance of means and covariances: of sets too large to keep, and of bootstrap resamples.

`frechet_distance` takes sets of points, and is torchmetrics'. Here the reference is decomposed once.

Source: Dowson and Landau, The Fréchet distance between multivariate normal distributions, 1982, equation (4); Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.core.randomness import Rng
from sparring.core.shapes import Points

RESAMPLES = 100
"""Of a bootstrap interval."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of a set of points, in fp64.

    Args:
        mean: `(features)`.
        covariance: with n - 1 in the denominator, `(features, features)`.
        count: n.
    """

    mean: Tensor
    covariance: Tensor
    count: int


def moments(parts: Iterable[Points]) -> Moments:
    """The moments of all points of several parts together, which are seen once.

    Args:
        parts: `(n, features)` each, two points or more in all.
    """
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for part in parts:
        points = part.cpu().double()
        count += len(points)
        total = total + points.sum(dim=0)
        products = products + points.T @ points
    mean = total / count
    return Moments(mean, (products - count * torch.outer(mean, mean)) / (count - 1), count)


class FrechetTo:
    """The Fréchet distance of moments from those of a reference, whose covariance is decomposed once:

        ||mu_a - mu_b||^2 + tr(S_a + S_b - 2 (S_b^(1/2) S_a S_b^(1/2))^(1/2)).

    Args:
        reference: mu_b and S_b.
    """

    def __init__(self, reference: Moments) -> None:
        values, vectors = torch.linalg.eigh(reference.covariance)
        self._reference = reference
        self._root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T

    def __call__(self, moments: Moments) -> float:
        shift = (moments.mean - self._reference.mean).square().sum()
        spread = moments.covariance.trace() + self._reference.covariance.trace()
        cross = torch.linalg.eigvalsh(self._root @ moments.covariance @ self._root).clamp(min=0).sqrt().sum()
        return max(0.0, float(shift + spread - 2 * cross))


def frechet_interval(
    points: Points, distance: FrechetTo, *, rng: Rng, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """A 95 % bootstrap interval of the Fréchet distance of a set of points from a fixed reference.

    With d of the n points and d* of n draws from them with replacement, it is d + the 2.5 % and 97.5 % quantiles of
    d* - mean d*, and at least 0. It covers the distance that n images of this generator have on average. The d* are not
    taken as they are: a resample has fewer different images, which adds to every d* as much bias as d has already.

    Args:
        points: `(n, features)`, n >= 2.
        distance: from the reference.
        rng: draws the resamples.
        resamples: how often the moments are computed again.
    """
    points, count = points.cpu().double(), len(points)
    found = []
    for _ in range(resamples):
        times = torch.bincount(rng.integers((count,), count).cpu(), minlength=count)
        drawn = times > 0
        found.append(distance(_repeated(points[drawn], times[drawn])))
    spread = torch.tensor(found, dtype=torch.float64)
    low, high = torch.quantile(spread - spread.mean(), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    value = distance(moments([points]))
    return max(0.0, value + low), value + high


def _repeated(points: Points, times: Tensor) -> Moments:
    """The moments of points that count several times."""
    count = int(times.sum())
    mean = times.double() @ points / count
    return Moments(mean, torch.cov(points.T, fweights=times), count)
