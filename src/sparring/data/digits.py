"""The built-in digits: 1,797 handwritten digits of 8x8 pixels with 17 grey levels.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (test set), UCI Machine Learning
Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0. Unchanged, apart from the file format.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from sparring.core.pieces import piece
from sparring.core.shapes import IMAGE_BOUNDS
from sparring.data.arrays import ArraySource, ImageArrays, fingerprint
from sparring.data.augment import Augmentations
from sparring.data.base import Data, Facts, Source

TRAIN = 1437
"""The first 1,437 digits are the train split, the last 360 the test split."""

LEVELS = 16
"""The brightest pixel."""


class DigitArrays(NamedTuple):
    """All digits as published: samples uint8 `(1797, 1, 8, 8)` from 0 to 16, labels int64 `(1797)`."""

    samples: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def load_digits() -> DigitArrays:
    """Read the digits from the package."""
    with (
        resources.files("sparring.data").joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return DigitArrays(arrays["samples"], arrays["labels"].astype(np.int64))


@piece("digits")
class Digits(Data):
    """The built-in 8x8 digits, level k as k/8 - 1.

    Args:
        augment: applied to training batches, in order.
    """

    augment: Augmentations = ()

    def open(self, device: torch.device) -> Source:
        samples, labels = load_digits()
        content = hashlib.sha256(samples.tobytes() + labels.tobytes()).hexdigest()
        facts = Facts((1, 8, 8), IMAGE_BOUNDS, tuple(map(str, range(10))), fingerprint=fingerprint(content, "train"))
        x, y = torch.from_numpy(samples).to(device), torch.from_numpy(labels).to(device)
        train, test = ImageArrays(x[:TRAIN], y[:TRAIN]), ImageArrays(x[TRAIN:], y[TRAIN:])
        return ArraySource(facts, train, test, scale=LEVELS / 2, augment=self.augment, device=device)
