"""Metric: a number about generated samples, with the protocol that it was measured by."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

from sparring.core.pieces import Piece
from sparring.core.shapes import FeaturesAndLogits


@runtime_checkable
class ReferenceClassifier(Protocol):
    """A network that looks at images.

    Args:
        name: what it is, how well it does on held-out data, and the digest of its weights.
        sha256: of its weights.
    """

    name: str
    sha256: str

    def extract(self, samples: Tensor) -> FeaturesAndLogits:
        """Its features and class logits of samples `(n, ...)`."""


@dataclass(frozen=True, eq=False)
class RealFeatures:
    """What an extractor sees in real images.

    Args:
        extractor: what looked.
        reference: in those images that generated ones are compared with.
        other: in other images; a perfect generator would do as well as equally many of them.
        origin: in words, where the two sets come from.
    """

    extractor: ReferenceClassifier
    reference: FeaturesAndLogits
    other: FeaturesAndLogits
    origin: str

    @property
    def fewest(self) -> int:
        """Images in the smaller of the two sets."""
        return min(len(self.reference.features), len(self.other.features))

    def judged(self, count: int) -> int:
        """How many of `count` generated images are judged: no more than there are others to stand beside them.

        Distances and scores depend on the number of images, so that only equal numbers can be told apart by them.
        """
        return min(count, len(self.other.features))

    def generated(self, samples: Tensor) -> FeaturesAndLogits:
        """What the extractor sees in the generated images that are judged, of samples `(n, ...)`."""
        return _first(self.extractor.extract(samples), self.judged(len(samples)))

    def others(self, count: int) -> FeaturesAndLogits:
        """What it sees in as many other real images as are judged of `count` generated ones."""
        return _first(self.other, self.judged(count))

    def compared(self, count: int) -> str:
        """In words, for protocols: what `count` generated images are compared with, in whose features."""
        real, judged = len(self.reference.features), self.judged(count)
        return (
            f"features: {self.extractor.name}; {judged:,} generated against {real:,} real, floor: {judged:,} other "
            f"real against the same {real:,} ({self.origin}); images as uint8 rounded half up"
        )


def _first(seen: FeaturesAndLogits, count: int) -> FeaturesAndLogits:
    return FeaturesAndLogits(seen.features[:count], seen.logits[:count])


@dataclass(frozen=True, eq=False)
class Reference:
    """What generated samples are compared with.

    Args:
        samples: held-out real samples, `(n, ...)`.
        centres: the modes of a mixture `(modes, features)`, or None.
        std: the standard deviation of a mode.
        classes: class names, empty without labels.
        classifier: a classifier of the data, or None.
        real: what the extractor sees in real images, or None without an extractor.
    """

    samples: Tensor
    centres: Tensor | None
    std: float
    classes: tuple[str, ...]
    classifier: ReferenceClassifier | None
    real: RealFeatures | None = None


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

    @abstractmethod
    def protocol(self, reference: Reference, count: int) -> str:
        """The criterion in words, to stand beside every number of `count` samples."""
