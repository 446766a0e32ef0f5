"""Augmentation: random changes of a sample, a function of (seed, training position) and of nothing else.

The numbers come from a counter-based hash and not from a stream, so neither batch size nor device enters.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Streams
from sparring.core.records import Count
from sparring.core.shapes import IMAGE_BOUNDS, expand_like

Share = Annotated[float, Field(gt=0, le=1)]


class Augmentation(Piece, family="augmentation"):
    """A random change of real samples in [-1, 1]."""

    @abstractmethod
    def __call__(self, x: Tensor, key: Tensor) -> Tensor:
        """Change every sample by the numbers that follow from its key.

        Args:
            x: fp32 samples in [-1, 1], `(*batch, channels, height, width)`.
            key: int64, `(*batch)`; see `hashed_uniform`.
        """


Augmentations = Annotated[tuple[Augmentation, ...], Field(strict=False)]
"""Applied in the order they are listed, each with keys of its own."""


@piece("flip")
class HorizontalFlip(Augmentation):
    """Mirrors left and right with probability 1/2."""

    def __call__(self, x: Tensor, key: Tensor) -> Tensor:
        mirrored = hashed_uniform(key, 1)[..., 0] < 0.5
        return torch.where(expand_like(mirrored, x), x.flip(-1), x)


@piece("dequantize")
class Dequantize(Augmentation):
    """Spreads byte k evenly over its bin: k/128 - 1 + U(0, 1/128), which stays within [-1, 1).

    With x = k/127.5 - 1 that is `x * 255/256 - 1/256 + U(0, 1/128)`. Rob-GAN's code adds the noise to x
    itself, whose values then exceed 1.

    Source: Gulrajani et al., Improved Training of Wasserstein GANs, published code.
    """

    def __call__(self, x: Tensor, key: Tensor) -> Tensor:
        noise = hashed_uniform(key, x[(0,) * key.dim()].numel()).reshape(x.shape)
        return x * (255 / 256) - 1 / 256 + noise / 128


@piece("padded_crop")
class PaddedCrop(Augmentation):
    """Adds a black border and crops to the old size at a random place, in whole pixels.

    Usual for classifiers. In a game, G learns to draw the black borders, since they are part of what D calls real.

    Args:
        padding: the width of the border in pixels; a sample moves by at most as much along either axis.

    Source: X. Liu, C.-J. Hsieh, Rob-GAN, published code, where CIFAR-10 gets a border of 4.
    """

    padding: Count = 4

    def __call__(self, x: Tensor, key: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        bordered = F.pad(x.flatten(0, key.dim() - 1), (self.padding,) * 4, value=IMAGE_BOUNDS.low)
        top, left = (hashed_uniform(key.flatten(), 2) * (2 * self.padding + 1)).long().unbind(-1)
        rows = top[:, None] + torch.arange(height, device=x.device)
        columns = left[:, None] + torch.arange(width, device=x.device)
        sample = torch.arange(len(bordered), device=x.device)[:, None, None]
        # Indices on both sides of the channels put these last.
        cropped = bordered[sample, :, rows[:, :, None], columns[:, None, :]]
        return cropped.movedim(-1, 1).reshape(x.shape)


@piece("resized_crop")
class ResizedCrop(Augmentation):
    """Crops a random square and scales it back to the old size, bilinearly.

    The square has a share of the area ~ U(smallest, largest), hence sqrt(share) of the side, and lies anywhere within
    the sample. It is not rounded to whole pixels.

    Args:
        smallest: share of the area.
        largest: share of the area.

    Source: X. Liu, C.-J. Hsieh, Rob-GAN, published code, on ImageNet, where it crops images of 256 x 256 and scales
        them down; here the images of the store are scaled up again by 5 to 12 %.
    """

    smallest: Share = 0.8
    largest: Share = 0.9

    @model_validator(mode="after")
    def _in_order(self) -> ResizedCrop:
        if self.smallest > self.largest:
            raise ValueError(f"smallest = {self.smallest} should not be more than largest = {self.largest}")
        return self

    def __call__(self, x: Tensor, key: Tensor) -> Tensor:
        samples = x.flatten(0, key.dim() - 1)
        area, down, right = hashed_uniform(key.flatten(), 3).unbind(-1)
        side = (self.smallest + (self.largest - self.smallest) * area).sqrt()
        # In coordinates of [-1, 1], a square of this side has its middle within 1 - side of 0.
        room = 1 - side
        theta = torch.zeros(len(samples), 2, 3, device=x.device)
        theta[:, 0, 0] = theta[:, 1, 1] = side
        theta[:, 0, 2], theta[:, 1, 2] = room * (2 * right - 1), room * (2 * down - 1)
        grid = F.affine_grid(theta, list(samples.shape), align_corners=False)
        scaled = F.grid_sample(samples, grid, padding_mode="border", align_corners=False)
        return scaled.clamp(IMAGE_BOUNDS.low, IMAGE_BOUNDS.high).reshape(x.shape)


def augmented(x: Tensor, augment: Sequence[Augmentation], positions: Tensor, streams: Streams) -> Tensor:
    """Apply a list of augmentations.

    Args:
        x: fp32 samples, `(*streams.lead, n, channels, height, width)`.
        augment: in order.
        positions: training positions, `(n)`.
        streams: the game's; only its seeds are used.
    """
    for index, each in enumerate(augment):
        rows = torch.stack([positions + base for base in streams.derived(f"augment/{each.name}", index)])
        x = each(x, rows.reshape(*streams.lead, -1).to(x.device, non_blocking=True))
    return x


def hashed_uniform(key: Tensor, count: int) -> Tensor:
    """`count` numbers in [0, 1) for every key, a function of the key alone: no batch, device or order enters.

    Counter-based, for augmentation that must be a function of (seed, sample).

    Args:
        key: int64, any shape `*batch`.
        count: numbers a key.

    Returns:
        fp32 of shape `(*batch, count)`.

    Source: Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators, figure 16 (splitmix64).
    """
    golden = -7046029254386353131  # 2^64 / golden ratio, as a signed 64-bit number
    counter = torch.arange(1, count + 1, device=key.device, dtype=torch.int64)
    bits = _scrambled(_scrambled(key)[..., None] + counter * golden)
    return _shifted_right(bits, 40).to(torch.float32) / float(1 << 24)


def _scrambled(x: Tensor) -> Tensor:
    """The finaliser of splitmix64, one to one on int64."""
    x = (x ^ _shifted_right(x, 30)) * -4658895280553007687
    x = (x ^ _shifted_right(x, 27)) * -7723592293110705685
    return x ^ _shifted_right(x, 31)


def _shifted_right(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of signed 64-bit numbers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
