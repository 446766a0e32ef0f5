"""Metrics: numbers about generated samples, each with the protocol of its measurement."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from sparring.core.pieces import Piece
from sparring.core.shapes import FeaturesAndLogits


@runtime_checkable
class ReferenceClassifier(Protocol):
    """A trained classifier whose features and logits are measured.

    Args:
        name: what it is, its accuracy on held-out data, and the digest of its weights.
        sha256: of its weights.
    """

    name: str
    sha256: str

    def extract(self, samples: Tensor) -> FeaturesAndLogits:
        """Features and class logits of samples `(n, ...)`."""


@dataclass(frozen=True, eq=False)
class RealFeatures:
    """Features and logits of two disjoint sets of real images.

    Args:
        extractor: the classifier that computed them.
        reference: of the images that generated ones are compared with.
        other: of other images. A perfect generator reads what equally many of them read: the floor.
        origin: of the two sets, as text.
        floors: the numbers of other real images that were computed so far, by metric and number of generated images.
    """

    extractor: ReferenceClassifier
    reference: FeaturesAndLogits
    other: FeaturesAndLogits
    origin: str
    floors: dict[tuple[Metric, int], tuple[float, ...]] = field(default_factory=dict)

    @property
    def fewest(self) -> int:
        """Images in the smaller of the two sets."""
        return min(len(self.reference.features), len(self.other.features))

    def compared(self, count: int) -> int:
        """How many of `count` generated images are compared: at most as many as there are others for the floor.

        Distances and scores depend on the number of images, so only equal numbers are comparable.
        """
        return min(count, len(self.other.features))

    def generated(self, samples: Tensor) -> FeaturesAndLogits:
        """Features and logits of the compared ones of generated images `(n, ...)`."""
        return _first(self.extractor.extract(samples), self.compared(len(samples)))

    def others(self, count: int) -> FeaturesAndLogits:
        """Features and logits of as many other real images as are compared of `count` generated ones."""
        return _first(self.other, self.compared(count))

    def protocol(self, count: int) -> str:
        """What `count` generated images are compared with, and in which features."""
        real, compared = len(self.reference.features), self.compared(count)
        return (
            f"features: {self.extractor.name}; {compared:,} generated against {real:,} real, floor: {compared:,} other "
            f"real against the same {real:,} ({self.origin}); images as uint8 rounded half up"
        )


def _first(values: FeaturesAndLogits, count: int) -> FeaturesAndLogits:
    return FeaturesAndLogits(values.features[:count], values.logits[:count])


@dataclass(frozen=True, eq=False)
class Reference:
    """What generated samples are compared with.

    Args:
        samples: held-out real samples, `(n, ...)`.
        centres: the modes of a mixture `(modes, features)`, or None.
        std: the standard deviation of a mode.
        classes: class names, empty without labels.
        classifier: of the data, or None.
        real: features of real images, or None without an extractor.
        precomputed: what metrics keep of the real samples, by metric and number of generated ones.
    """

    samples: Tensor
    centres: Tensor | None
    std: float
    classes: tuple[str, ...]
    classifier: ReferenceClassifier | None
    real: RealFeatures | None = None
    precomputed: dict[tuple[Metric, int], Any] = field(default_factory=dict)


class Metric(Piece, family="metric"):
    """Measures the samples of one game. Every registered metric that applies is measured.

    Attributes:
        names: the numbers that `measure` returns.
        shares: those of them that are proportions of the samples.
    """

    names: ClassVar[tuple[str, ...]]
    shares: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def applies(self, reference: Reference) -> bool:
        """Whether the reference has what the metric needs."""

    @abstractmethod
    def measure(self, samples: Tensor, reference: Reference) -> dict[str, float]:
        """The numbers of `names` for samples `(n, ...)`."""

    def intervals(self, samples: Tensor, reference: Reference) -> dict[str, tuple[float, float]]:
        """95 % intervals of numbers that have any, by name: too slow for every measurement of a training."""
        return {}

    @abstractmethod
    def protocol(self, reference: Reference, count: int) -> str:
        """The definition of the numbers, for `count` samples."""
