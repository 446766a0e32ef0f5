"""Augmentation: random changes of a sample, a function of (seed, training position) and of nothing else.

The numbers come from a counter-based hash and not from a stream, so neither batch size nor device enters.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sparring.pieces import Piece, piece
from sparring.randomness import Streams, derive, hashed_uniform
from sparring.shapes import expand_like


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
class Flip(Augmentation):
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


def augmented(x: Tensor, augment: Sequence[Augmentation], positions: Tensor, streams: Streams) -> Tensor:
    """Apply a list of augmentations.

    Args:
        x: fp32 samples, `(*streams.lead, n, channels, height, width)`.
        augment: in order.
        positions: training positions, `(n)`.
        streams: the game's; only its seeds are used.
    """
    for index, each in enumerate(augment):
        bases = [derive(seed, f"augment/{each.name}", index) for seed in streams.seeds]
        rows = torch.stack([positions + base for base in bases])
        x = each(x, rows.reshape(*streams.lead, -1).to(x.device))
    return x
