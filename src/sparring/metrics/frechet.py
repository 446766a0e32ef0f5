"""Fréchet distance between the features of generated and of real images.

Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, 2017, eq. 6.
With Inception-v3 as the extractor it is the FID; the extractor is part of the number, and of its protocol.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.shapes import FeaturesAndLogits
from sparring.metrics.base import Reference
from sparring.metrics.feature_metric import SEED, FeatureMetric, as_extractor
from sparring.metrics.moments import RESAMPLES, FrechetTo, frechet_interval, moments

FEWEST = 2048
"""With fewer images on a side the estimate is biased upwards noticeably."""


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """||mu_a - mu_b||^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) of the means and covariances of two sets, in fp64.

    Args:
        a: `(n, features)`, n >= 2.
        b: `(m, features)`, m >= 2.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # takes a second to import

    distance = FrechetInceptionDistance(feature=as_extractor(a.shape[1]), sync_on_compute=False)
    distance.update(a.cpu().double(), real=True)
    distance.update(b.cpu().double(), real=False)
    return max(0.0, float(distance.compute()))


@piece("frechet")
class Frechet(FeatureMetric):
    """Fréchet distance of features from those of real images, beside the same for as many other real images."""

    names: ClassVar[tuple[str, ...]] = ("frechet_distance", "frechet_floor")

    def compare(self, images: FeaturesAndLogits, real: FeaturesAndLogits) -> tuple[float, ...]:
        return (frechet_distance(images.features, real.features),)

    def intervals(self, samples: Tensor, reference: Reference) -> dict[str, tuple[float, float]]:
        real = reference.real
        assert real is not None
        distance = FrechetTo(moments([real.reference.features]))
        features = real.generated(samples).features
        return {"frechet_distance": frechet_interval(features, distance, rng=Rng.of(SEED))}

    def protocol(self, reference: Reference, count: int) -> str:
        real = reference.real
        assert real is not None
        biased = f"; biased: fewer than {FEWEST:,} on a side" if min(count, real.fewest) < FEWEST else ""
        return f"{real.protocol(count)}; fp64{biased}; an interval is of {RESAMPLES} resamples of the generated images"
