"""Metrics of the features or logits of a classifier, computed by torchmetrics.

Each is reported beside its value for as many other real images: the floor, which a perfect generator reaches.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor, nn

from sparring.core.shapes import FeaturesAndLogits
from sparring.metrics.base import Metric, Reference

SEED = 0
"""Of the subsets and splits that torchmetrics draws."""


class FeatureMetric(Metric):
    """Compares generated with real images in the features or logits of the extractor.

    `names` are the numbers of `compare`, and then as many of the first of them, for other real images, as are named.
    """

    @abstractmethod
    def compare(self, images: FeaturesAndLogits, real: FeaturesAndLogits) -> tuple[float, ...]:
        """The numbers of these images, at least two, against real ones."""

    @final
    def applies(self, reference: Reference) -> bool:
        return reference.real is not None and reference.real.fewest >= 2  # no metric is defined for one image

    @final
    def measure(self, samples: Tensor, reference: Reference) -> dict[str, float]:
        real = reference.real
        assert real is not None
        floor = (self, len(samples))
        if floor not in real.floors:  # it is the same at every measurement of a run
            real.floors[floor] = self.compare(real.others(len(samples)), real.reference)
        numbers = self.compare(real.generated(samples), real.reference)
        return dict(zip(self.names, (*numbers, *real.floors[floor]), strict=False))


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
