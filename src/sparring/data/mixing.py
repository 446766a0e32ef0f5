"""Mixing: samples of a training batch that are made of two, with the labels of both."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.core.errors import UsageError
from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Rng
from sparring.core.records import Probability
from sparring.core.shapes import Space


class LabelShare(NamedTuple):
    """One of the labels of every sample.

    Args:
        labels: `(n)`.
        share: of the sample that has it, `(n)`, or one number for all.
    """

    labels: Tensor
    share: Tensor | float = 1.0


class MixedBatch(NamedTuple):
    """Samples `(n, ...)`, and their labels, whose shares add up to one."""

    samples: Tensor
    targets: tuple[LabelShare, ...]


class Mixing(Piece, family="mixing"):
    """How samples of a batch are mixed before the attack."""

    def check(self, space: Space) -> None:
        """Refuse samples that cannot be mixed.

        Raises:
            UsageError: says why.
        """

    @abstractmethod
    def mix(self, samples: Tensor, labels: Tensor, *, rng: Rng) -> MixedBatch:
        """The mixed batch.

        Args:
            samples: `(n, ...)`.
            labels: `(n)`.
            rng: of the batch.
        """


@piece("none")
class NoMixing(Mixing):
    """Samples stay as they are."""

    def mix(self, samples: Tensor, labels: Tensor, *, rng: Rng) -> MixedBatch:
        return MixedBatch(samples, (LabelShare(labels),))


@piece("cutmix")
class CutMix(Mixing):
    """Pastes a rectangle of another image of the batch; the label is shared by area (Yun et al. 2019).

        share ~ U(0, 1),    sides sqrt(1 - share) of the image's,    label (1 - a) y + a y_other

    where a is the area of the rectangle within the image. Its centre is uniform over the pixels, and the other image is
    that of a random permutation. Every image has a rectangle of its own.

    Args:
        probability: of mixing a batch.

    Source: Yun et al. 2019, equations (1) and (2), with alpha = 1.
    """

    probability: Probability = 1.0

    def check(self, space: Space) -> None:
        if len(space.shape) != 3:
            raise UsageError(
                f"mixing: cutmix pastes rectangles of images, and these samples have shape {space.shape}",
                "leave it out, or use images",
            )

    def mix(self, samples: Tensor, labels: Tensor, *, rng: Rng) -> MixedBatch:
        if float(rng.uniform((1,))) >= self.probability:
            return MixedBatch(samples, (LabelShare(labels),))
        count, (height, width) = len(samples), samples.shape[-2:]
        other = rng.permutation(count)
        size, down, right = rng.uniform((3, count))
        rows, columns = (_covered(size, place, length) for place, length in ((down, height), (right, width)))
        pasted = rows[:, None, :, None] & columns[:, None, None, :]
        area = pasted.flatten(1).double().mean(1).to(samples)
        mixed = torch.where(pasted, samples[other], samples)
        return MixedBatch(mixed, (LabelShare(labels, 1 - area), LabelShare(labels[other], area)))


def _covered(size: Tensor, place: Tensor, length: int) -> Tensor:
    """The pixels along one axis that rectangles of this area cover: `(n)`, `(n)` to `(n, length)`."""
    side, centre = (length * size.sqrt()).long(), (place * length).long()
    first, last = centre - side // 2, centre - side // 2 + side
    pixels = torch.arange(length, device=size.device)
    return (pixels >= first[:, None]) & (pixels < last[:, None])
