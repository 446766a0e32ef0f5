"""Precision and recall, density and coverage: balls to the k-th nearest neighbour around points of a feature space.

The balls around real images stand for the real distribution, and those around generated images for the generator's.
Precision and density say how many generated images look real, recall and coverage how much of the data is generated.

Source: Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, 2019, section 2;
Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020, sections 2 and 3.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.core.shapes import FeaturesAndLogits, Points
from sparring.metrics.base import Reference
from sparring.metrics.feature_metric import FeatureMetric

_AT_ONCE = 1024
"""Rows of a matrix of distances that are held at once."""
_ROUNDING = 100
"""In units of the last place; the neighbour at the border of a ball counts as inside."""


def precision_recall(generated: Points, real: Points, *, k: int) -> tuple[float, float]:
    """The share of generated points in any ball around a real one, and of real points in any around a generated one.

    A ball B(x, r_k(x)) is closed and reaches to the k-th nearest other point of the same set, at most to the last:

        precision = 1/M sum_j 1[y_j in some B(x_i, r_k(x_i))],    recall = 1/N sum_i 1[x_i in some B(y_j, r_k(y_j))].

    Args:
        generated: y, `(M, features)`, M >= 2.
        real: x, `(N, features)`, N >= 2.
        k: which neighbour; 3 in the paper.

    Source: Kynkäänniemi et al. 2019, equations (1) and (2).
    """
    generated, real = _centred(generated, real)
    around_real, around_generated = _radii(real, k), _radii(generated, k)
    precise, recalled = [], torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for part, radii in zip(torch.split(generated, _AT_ONCE), torch.split(around_generated, _AT_ONCE), strict=True):
        distances = torch.cdist(part, real)
        precise.append((distances <= around_real).any(dim=1))
        recalled |= (distances <= radii[:, None]).any(dim=0)
    return _share(torch.cat(precise)), _share(recalled)


def density_coverage(generated: Points, real: Points, *, k: int) -> tuple[float, float]:
    """How many real balls a generated point lies in, relative to k, and the share of real balls with a generated point.

        density = 1/(k M) sum_j sum_i 1[y_j in B(x_i, r_k(x_i))],
        coverage = 1/N sum_i 1[some y_j in B(x_i, r_k(x_i))],

    with balls as in `precision_recall`. The expected density of the data themselves is 1, and it may be larger.

    Args:
        generated: y, `(M, features)`, M >= 2.
        real: x, `(N, features)`, N >= 2.
        k: which neighbour; 5 in the paper.

    Source: Naeem et al. 2020, equations (4) and (5).
    """
    generated, real = _centred(generated, real)
    around_real = _radii(real, k)
    hits, covered = 0, torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for part in torch.split(generated, _AT_ONCE):
        within = torch.cdist(part, real) <= around_real
        hits += int(within.count_nonzero())
        covered |= within.any(dim=0)
    return hits / (k * len(generated)), _share(covered)


def _centred(generated: Points, real: Points) -> tuple[Tensor, Tensor]:
    """Both sets around the mean of the real one: distances of points far from the origin would lose digits."""
    middle = real.double().mean(dim=0)
    return (generated.to(real.device) - middle).to(real.dtype), (real - middle).to(real.dtype)


def _radii(points: Points, k: int) -> Tensor:
    """The distance of every point to its k-th nearest other, `(points)`; the nearest of all is the point itself."""
    rank = min(k + 1, len(points))
    nearest = [
        torch.cdist(part, points).topk(rank, largest=False).values[:, -1] for part in torch.split(points, _AT_ONCE)
    ]
    return torch.cat(nearest) * (1 + _ROUNDING * torch.finfo(points.dtype).eps)


def _share(holds: Tensor) -> float:
    return float(holds.double().mean())


@piece("precision_recall")
class PrecisionRecall(FeatureMetric):
    """Generated images that look real, real ones that are generated, and the same for as many other real images.

    Args:
        k: a ball reaches to the k-th nearest neighbour.
    """

    names: ClassVar[tuple[str, ...]] = ("precision", "recall", "precision_real", "recall_real")

    k: Count = 3

    def compare(self, images: FeaturesAndLogits, real: FeaturesAndLogits) -> tuple[float, ...]:
        return precision_recall(images.features, real.features, k=self.k)

    def protocol(self, reference: Reference, count: int) -> str:
        return _protocol(reference, count, self.k)


@piece("density_coverage")
class DensityCoverage(FeatureMetric):
    """Density of real images around generated ones, share of covered real images, and the same for other real images.

    Args:
        k: a ball reaches to the k-th nearest neighbour.
    """

    names: ClassVar[tuple[str, ...]] = ("density", "coverage", "density_real", "coverage_real")

    k: Count = 5

    def compare(self, images: FeaturesAndLogits, real: FeaturesAndLogits) -> tuple[float, ...]:
        return density_coverage(images.features, real.features, k=self.k)

    def protocol(self, reference: Reference, count: int) -> str:
        return _protocol(reference, count, self.k)


def _protocol(reference: Reference, count: int, k: int) -> str:
    real = reference.real
    assert real is not None
    return f"{real.protocol(count)}; closed balls to neighbour number {k} of the same set"
