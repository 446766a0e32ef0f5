"""Fréchet distance between the features of generated and of real images.

Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, 2017, eq. 6.
With Inception-v3 as the extractor it is the FID; the extractor is part of the number, and of its protocol.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

from torch import Tensor

from sparring.core.pieces import piece
from sparring.metrics.base import Metric, RealFeatures, Reference
from sparring.metrics.precomputed import as_extractor

FEWEST = 2048
"""With fewer images on a side the estimate is biased upwards noticeably."""


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """||mu_a - mu_b||^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) of the means and covariances of two sets, in fp64.

    Args:
        a: `(n, features)`, n >= 2.
        b: `(m, features)`, m >= 2.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # takes a second to import

    distance = FrechetInceptionDistance(feature=as_extractor(a.shape[1]))
    distance.update(a.cpu().double(), real=True)
    distance.update(b.cpu().double(), real=False)
    return max(0.0, float(distance.compute()))


@lru_cache(maxsize=1)
def _floor(real: RealFeatures, count: int) -> float:
    """The value for as many other real images, which is the same at every measurement of a run."""
    return frechet_distance(real.others(count).features, real.reference.features)


@piece("frechet")
class Frechet(Metric):
    """Fréchet distance of features from those of real images, beside the same for as many other real images."""

    names: ClassVar[tuple[str, ...]] = ("frechet_distance", "frechet_floor")

    def applies(self, reference: Reference) -> bool:
        return reference.real is not None and reference.real.fewest >= 2  # a covariance needs two images

    def measure(self, samples: Tensor, reference: Reference) -> dict[str, float]:
        real = reference.real
        assert real is not None
        return {
            "frechet_distance": frechet_distance(real.generated(samples).features, real.reference.features),
            "frechet_floor": _floor(real, len(samples)),
        }

    def protocol(self, reference: Reference, count: int) -> str:
        assert reference.real is not None
        biased = f"; biased: fewer than {FEWEST:,} on a side" if min(count, reference.real.fewest) < FEWEST else ""
        return f"{reference.real.protocol(count)}; fp64{biased}"
