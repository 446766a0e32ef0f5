"""Differentiable augmentation of all that D sees, so that a D of few real images does not learn them by heart.

    D:  mean f_D(D(T(x))) and of D(T(G(z))),    G:  mean f_g(D(T(G(z))))

with a random T for every sample. G gets its gradient through T, and what it makes stays unaugmented.

Source: Zhao, Liu, Lin, Zhu, Han 2020, Differentiable augmentation for data-efficient GAN training.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from sparring.core.errors import UsageError
from sparring.core.pieces import Piece, piece
from sparring.core.randomness import RandomSource, Rng
from sparring.core.records import Probability
from sparring.core.shapes import Samples, Space


class DiffAugmentation(Piece, family="diff_augmentation"):
    """A random change of images, differentiable in them."""

    def check(self, space: Space) -> None:
        """Refuse samples that are not images.

        Raises:
            UsageError: says so.
        """
        if len(space.shape) != 3:
            raise UsageError(
                f"diff_augment: {self.name} changes images, and these samples have shape {space.shape}",
                "leave it out, or use images",
            )

    @abstractmethod
    def __call__(self, x: Samples, *, rng: RandomSource) -> Samples:
        """Every image, `(*batch, channels, height, width)`, changed by draws of its own."""


DiffAugmentations = Annotated[tuple[DiffAugmentation, ...], Field(strict=False)]
"""Applied in the order they are listed."""


@piece("color")
class ColorJitter(DiffAugmentation):
    """Brightness, saturation and contrast, as in the paper, for images in [-1, 1]:

    x + U(-1/2, 1/2);  m_c + U(0, 2) (x - m_c), m_c the mean over channels;  m + U(1/2, 3/2) (x - m), m the mean.
    """

    def __call__(self, x: Samples, *, rng: RandomSource) -> Samples:
        rng = Rng.of(rng, x.device)
        draws = rng.uniform((*x.shape[:-3], 3, 1, 1)).to(x)
        brightness, saturation, contrast = torch.split(draws, 1, dim=-3)
        x = x + brightness - 0.5
        grey = x.mean(-3, keepdim=True)
        x = grey + 2 * saturation * (x - grey)
        mean = x.mean((-3, -2, -1), keepdim=True)
        jittered: Samples = mean + (contrast + 0.5) * (x - mean)
        return jittered


@piece("translation")
class Translation(DiffAugmentation):
    """Moves by whole pixels, at most a share of the side along either axis, and fills with 0.

    Args:
        share: of the side.
    """

    share: Probability = 0.125

    def __call__(self, x: Samples, *, rng: RandomSource) -> Samples:
        rng = Rng.of(rng, x.device)
        rows, columns = (_places(x, axis, round(self.share * x.shape[axis]), rng) for axis in (-2, -1))
        images = F.pad(x.flatten(0, -4), (1, 1, 1, 1))  # places outside of the image are those of the border
        sample = torch.arange(len(images), device=x.device)[:, None, None]
        moved = images[sample, :, rows[:, :, None], columns[:, None, :]]
        return moved.movedim(-1, 1).reshape(x.shape)


def _places(x: Samples, axis: int, most: int, rng: Rng) -> Tensor:
    """From every row (or column) of a moved image to that of the image with a border of one, `(images, extent)`."""
    extent, count = x.shape[axis], x.shape[:-3].numel()
    shift = rng.integers(x.shape[:-3], 2 * most + 1).reshape(count, 1).to(x.device) - most
    return (torch.arange(extent, device=x.device) + shift + 1).clamp(0, extent + 1)


@piece("cutout")
class CutoutSquare(DiffAugmentation):
    """Sets a rectangle to 0, with a share of the side along either axis, whose middle is anywhere in the image.

    Args:
        share: of the side.
    """

    share: Probability = 0.5

    def __call__(self, x: Samples, *, rng: RandomSource) -> Samples:
        rng, inside = Rng.of(rng, x.device), []
        for axis in (-2, -1):
            extent, size = x.shape[axis], round(self.share * x.shape[axis])
            first = rng.integers((*x.shape[:-3], 1), extent + 1 - size % 2).to(x.device) - size // 2
            place = torch.arange(extent, device=x.device) - first
            inside.append((place >= 0) & (place < size))
        cut = (inside[0][..., :, None] & inside[1][..., None, :]).unsqueeze(-3)
        return torch.where(cut, 0.0, x)
