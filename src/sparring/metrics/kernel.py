"""Kernel distance (squared maximum mean discrepancy) between the features of generated and of real images.

Source: Binkowski, Sutherland, Arbel, Gretton, Demystifying MMD GANs, 2018, section 4. With Inception-v3 as the
extractor it is the KID. Unlike the Fréchet distance it is unbiased at any number of images.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.metrics.base import Metric, RealFeatures, Reference
from sparring.metrics.precomputed import SEED, Spread, as_extractor, seeded


def kernel_distance(a: Tensor, b: Tensor, *, subsets: int, size: int) -> Spread:
    """E k(a, a') + E k(b, b') - 2 E k(a, b) with k(x, y) = (x.y / features + 1)^3, unbiased, in fp64.

    Args:
        a: `(n, features)`.
        b: `(m, features)`.
        subsets: random pairs of subsets.
        size: of a subset, at least 2, and at most the size of either set.
    """
    from torchmetrics.image.kid import KernelInceptionDistance  # takes a second to import

    with seeded():
        distance = KernelInceptionDistance(
            feature=as_extractor(a.shape[1]), subsets=subsets, subset_size=min(size, len(a), len(b))
        )
        distance.update(a.cpu().double(), real=True)
        distance.update(b.cpu().double(), real=False)
        mean, std = distance.compute()
    return Spread(float(mean), float(std))


@lru_cache(maxsize=1)
def _floor(real: RealFeatures, count: int, subsets: int, size: int) -> float:
    """The value for as many other real images, which is the same at every measurement of a run."""
    return kernel_distance(real.others(count).features, real.reference.features, subsets=subsets, size=size).mean


@piece("kernel")
class Kernel(Metric):
    """Kernel distance of features from those of real images, its spread, and the same for as many other real images.

    Args:
        subsets: random pairs of subsets that it is averaged over.
        size: images in a subset.
    """

    names: ClassVar[tuple[str, ...]] = ("kernel_distance", "kernel_distance_std", "kernel_floor")

    subsets: Count = 10
    size: Count = 1000

    def applies(self, reference: Reference) -> bool:
        return reference.real is not None and reference.real.fewest >= 2  # a pair needs two images

    def measure(self, samples: Tensor, reference: Reference) -> dict[str, float]:
        real = reference.real
        assert real is not None
        features = real.generated(samples).features
        found = kernel_distance(features, real.reference.features, subsets=self.subsets, size=self.size)
        return {
            "kernel_distance": found.mean,
            "kernel_distance_std": found.std,
            "kernel_floor": _floor(real, len(samples), self.subsets, self.size),
        }

    def protocol(self, reference: Reference, count: int) -> str:
        assert reference.real is not None
        size = min(self.size, count, reference.real.fewest)
        return (
            f"{reference.real.protocol(count)}; cubic kernel, {self.subsets} pairs of random subsets of {size:,}, "
            f"seed {SEED}; the standard deviation is over subsets"
        )
