"""torchmetrics at work on features that are already there, without a trace of its warnings and draws."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

SEED = 0
"""Of the subsets and splits that torchmetrics draws."""


class Spread(NamedTuple):
    """A mean and a standard deviation over random parts of the samples."""

    mean: float
    std: float


class Given(nn.Module):
    """The identity, in the place of a feature extractor.

    Args:
        num_features: the name by which torchmetrics asks for it; unasked it would try a random image.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


@contextmanager
def seeded() -> Iterator[None]:
    """Draws from the global stream start at `SEED` within the block, and leave no trace; neither do warnings."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that features are kept in memory
        torch.default_generator.manual_seed(SEED)
        yield
