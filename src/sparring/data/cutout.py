"""Cutout: a square of every sample turns grey."""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.data.augment import Augmentation, hashed_uniform


@piece("cutout")
class Cutout(Augmentation):
    """Turns a square to 0, the middle of the range; its centre is uniform over the pixels, its parts outside are lost.

    Args:
        side: of the square, in pixels; 16 for CIFAR-10 in the paper.

    Source: DeVries, Taylor 2017, section 3.2.
    """

    side: Count = 16

    def __call__(self, x: Tensor, key: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        down, right = hashed_uniform(key, 2).unbind(-1)
        rows, columns = (self._hidden(place, length) for place, length in ((down, height), (right, width)))
        hidden = rows[..., :, None] & columns[..., None, :]
        return x.masked_fill(hidden.unsqueeze(-3), 0.0)

    def _hidden(self, place: Tensor, length: int) -> Tensor:
        """The rows, or the columns, of the square: `(*batch)` to `(*batch, length)`."""
        first = (place * length).long() - self.side // 2
        pixels = torch.arange(length, device=place.device)
        return (pixels >= first[..., None]) & (pixels < first[..., None] + self.side)
