"""Precision and recall, density and coverage: balls to the k-th nearest neighbour around points of a feature space.

The balls around real images stand for the real distribution, and those around generated images for the generator's.
Precision and density say how many generated images look real, recall and coverage how much of the data is generated.

Source: Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, 2019, section 2;
Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020, sections 2 and 3.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.core.shapes import FeaturesAndLogits
from sparring.metrics.base import Reference
from sparring.metrics.feature_metric import FeatureMetric

Points = Float[Tensor, "_ features"]

_AT_ONCE = 1024
"""Rows of a matrix of distances that are held at once."""
_ROUNDING = 1e-9
"""Relative; the neighbour at the border of a ball counts as inside."""


class Hits(NamedTuple):
    """How often points lie in balls.

    Args:
        balls: around how many centres each point lies, `(points)`.
        points: how many points lie in the ball of each centre, `(centres)`.
    """

    balls: Tensor
    points: Tensor


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
    return _share(hits(generated, real, k=k).balls), _share(hits(real, generated, k=k).balls)


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
    found = hits(generated, real, k=k)
    return float(found.balls.double().mean()) / k, _share(found.points)


def hits(points: Points, centres: Points, *, k: int) -> Hits:
    """How many balls around centres each point lies in, and how many points lie in each ball.

    Args:
        points: `(points, features)`.
        centres: `(centres, features)`.
        k: a ball reaches to the k-th nearest other centre.
    """
    middle = centres.double().mean(dim=0)  # distances of points far from the origin would lose digits
    points, centres = points.double() - middle, centres.double() - middle
    radii = torch.cat([_kth_distances(part, centres, k) for part in torch.split(centres, _AT_ONCE)])
    balls, inside = [], torch.zeros(len(centres), dtype=torch.int64, device=centres.device)
    for part in torch.split(points, _AT_ONCE):
        within = torch.cdist(part, centres) <= radii
        balls.append(within.sum(dim=1))
        inside += within.sum(dim=0)
    return Hits(torch.cat(balls), inside)


def _kth_distances(part: Points, centres: Points, k: int) -> Tensor:
    """To the k-th nearest other centre; the nearest one is the point itself."""
    nearest = torch.cdist(part, centres).topk(min(k + 1, len(centres)), dim=1, largest=False).values
    return nearest[:, -1] * (1 + _ROUNDING)


def _share(counts: Tensor) -> float:
    return float((counts > 0).double().mean())


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
    return f"{real.protocol(count)}; closed balls to neighbour number {k} of the same set, fp64"
