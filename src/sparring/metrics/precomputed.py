"""torchmetrics on precomputed features, without its warnings or global random state."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

SEED = 0
"""Of the subsets and splits that torchmetrics draws."""


class Spread(NamedTuple):
    """A mean and a standard deviation over random parts of the samples."""

    mean: float
    std: float


def as_extractor(num_features: int) -> nn.Module:
    """The identity as a feature extractor; torchmetrics reads `num_features`, or else it tries a random image."""
    identity = nn.Identity()
    identity.num_features = num_features  # type: ignore[assignment]
    return identity


@contextmanager
def seeded() -> Iterator[None]:
    """Global random numbers start at `SEED` within the block and are restored after it; warnings are ignored."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that features are kept in memory
        torch.default_generator.manual_seed(SEED)
        yield
