"""Sliced Wasserstein distance between patches of generated and of real images: neither labels nor weights are needed.

Source: Karras et al., Progressive Growing of GANs, 2018, section 5, after Rabin et al., Wasserstein Barycenter and its
Application to Texture Mixing, 2011, equation (5).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import as_bytes
from sparring.metrics.base import Metric, Reference
from sparring.metrics.feature_metric import SEED
from sparring.metrics.pyramid import PATCH, laplacian_pyramid, level_count, patches

Points = Float[Tensor, "points values"]
Directions = Float[Tensor, "values directions"]
Slices = npt.NDArray[np.float32]
"""The sorted coordinates of points along directions, `(directions, points)`."""


def sliced_wasserstein(a: Points, b: Points, directions: Directions) -> float:
    """The mean over directions of the Wasserstein-1 distance between the coordinates of two sets along each.

    On a line the distance is the mean of |a_(i) - b_(i)|, with both sets in ascending order.

    Args:
        a: `(points, values)`.
        b: as many points.
        directions: unit vectors, `(values, directions)`.
    """
    return _distance([slices(a, directions)], [slices(b, directions)])


def random_directions(values: int, count: int, *, rng: Rng) -> Directions:
    """Independent unit vectors, uniform on the sphere, `(values, count)`."""
    return F.normalize(rng.normal((values, count)), dim=0)


def slices(points: Points, directions: Directions) -> Slices:
    """The coordinates of points along directions, each direction in ascending order."""
    coordinates: Slices = (directions.T @ points.T).cpu().numpy()
    return np.sort(coordinates, axis=1)  # torch takes thirty times as long


def _distance(a: list[Slices], b: list[Slices]) -> float:
    """The mean over levels."""
    return float(np.mean([np.abs(one - other).mean(dtype=np.float64) for one, other in zip(a, b, strict=True)]))


@piece("sliced_wasserstein")
class SlicedWasserstein(Metric):
    """Sliced Wasserstein distance of patches of all levels of Laplacian pyramids, beside that of two real sets.

    Args:
        images: generated ones, and real ones in each of two sets; fewer if there are fewer.
        patches: of every image and level.
        directions: random ones, the same at every level and measurement.
    """

    names: ClassVar[tuple[str, ...]] = ("sliced_wasserstein", "sliced_wasserstein_floor")

    images: Count = 512
    patches: Count = 16
    directions: Count = 128

    def applies(self, reference: Reference) -> bool:
        real = reference.samples
        is_image = real.dim() == 4 and min(real.shape[2:]) >= PATCH
        return is_image and len(real) >= 2 and bool((real.abs() <= 1).all())

    def measure(self, samples: Tensor, reference: Reference) -> dict[str, float]:
        count = self._compared(reference, len(samples))
        key = (self, count)
        if key not in reference.precomputed:  # it is the same at every measurement of a run
            near, far = (self._slices(part) for part in torch.split(reference.samples[: 2 * count], count))
            reference.precomputed[key] = near, _distance(near, far)
        real, floor = reference.precomputed[key]
        return {
            "sliced_wasserstein": _distance(self._slices(samples[:count]), real),
            "sliced_wasserstein_floor": floor,
        }

    def protocol(self, reference: Reference, count: int) -> str:
        compared, (height, width) = self._compared(reference, count), reference.samples.shape[2:]
        return (
            f"{compared:,} generated against {compared:,} real images, floor: {compared:,} other real against the "
            f"same; Laplacian pyramid of {level_count(height, width)} levels, {self.patches} patches of {PATCH} x "
            f"{PATCH} an image and level, each channel normalised, {self.directions} random directions, seed {SEED}; "
            "mean over levels; images as uint8 rounded half up"
        )

    def _compared(self, reference: Reference, count: int) -> int:
        return min(self.images, count, len(reference.samples) // 2)

    def _slices(self, images: Tensor) -> list[Slices]:
        """Of every level, the finest first."""
        values = PATCH * PATCH * images.shape[1]
        directions = random_directions(values, self.directions, rng=Rng.of(SEED)).to(images.device)
        pyramid = laplacian_pyramid(as_bytes(images).float(), level_count(*images.shape[2:]))
        places = Rng.of(SEED, images.device)
        return [slices(patches(level, self.patches, rng=places), directions) for level in pyramid]
