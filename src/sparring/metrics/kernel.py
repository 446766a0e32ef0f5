"""Kernel distance (squared maximum mean discrepancy) between the features of generated and of real images.

Source: Binkowski, Sutherland, Arbel, Gretton, Demystifying MMD GANs, 2018, section 4. With Inception-v3 as the
extractor it is the KID. Unlike the Fréchet distance it is unbiased at any number of images.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.core.shapes import FeaturesAndLogits
from sparring.metrics.base import Reference
from sparring.metrics.feature_metric import SEED, FeatureMetric, as_extractor, seeded


def kernel_distance(a: Tensor, b: Tensor, *, subsets: int, size: int) -> tuple[float, float]:
    """E k(a, a') + E k(b, b') - 2 E k(a, b) with k(x, y) = (x.y / features + 1)^3, unbiased, in fp64.

    Returns the mean and the standard deviation over random subsets. Where a subset would be all of both sets, there is
    one, and the deviation is 0.

    Args:
        a: `(n, features)`.
        b: `(m, features)`.
        subsets: random pairs of subsets.
        size: of a subset, at least 2, and at most the size of either set.
    """
    from torchmetrics.image.kid import KernelInceptionDistance  # takes a second to import

    size = min(size, len(a), len(b))
    different = 1 if size == max(len(a), len(b)) else subsets
    with seeded():
        distance = KernelInceptionDistance(
            feature=as_extractor(a.shape[1]), subsets=different, subset_size=size, sync_on_compute=False
        )
        distance.update(a.cpu().double(), real=True)
        distance.update(b.cpu().double(), real=False)
        mean, std = distance.compute()
    return float(mean), float(std)


@piece("kernel")
class Kernel(FeatureMetric):
    """Kernel distance of features from those of real images, its spread, and the same for as many other real images.

    Args:
        subsets: random pairs of subsets that it is averaged over.
        size: images in a subset.
    """

    names: ClassVar[tuple[str, ...]] = ("kernel_distance", "kernel_distance_std", "kernel_floor")

    subsets: Count = 10
    size: Count = 1000

    def compare(self, images: FeaturesAndLogits, real: FeaturesAndLogits) -> tuple[float, ...]:
        return kernel_distance(images.features, real.features, subsets=self.subsets, size=self.size)

    def protocol(self, reference: Reference, count: int) -> str:
        real = reference.real
        assert real is not None
        images, others = real.compared(count), len(real.reference.features)
        size = min(self.size, images, others)
        if size == max(images, others):
            return f"{real.protocol(count)}; cubic kernel, all images at once, so that there is no spread over subsets"
        return (
            f"{real.protocol(count)}; cubic kernel, {self.subsets} pairs of random subsets of {size:,}, "
            f"seed {SEED}; the standard deviation is over subsets"
        )
