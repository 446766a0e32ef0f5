"""Data: a frozen spec in the recipe, opened into a source of batches.

Batch number k of a game is a function of (seed, k) alone, so that a resumed run sees what an undisturbed one saw.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from sparring.core.errors import UsageError
from sparring.core.pieces import Piece
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Bounds, Space

_SPLIT = 2**62 + 1
"""The seed of validation samples, which is that of no game."""


class Batch(NamedTuple):
    """Real samples `(*batch, ...)` in the declared range, and their labels `(*batch)` where there are any."""

    samples: Tensor
    labels: Tensor | None


class SampleRows(Protocol):
    """Samples `(n, ...)` in the declared range that are read when they are asked for. A tensor is one, too."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Tensor, /) -> Tensor: ...


class SampleSet(NamedTuple):
    """Samples that need not fit in memory, and their labels `(n)` where there are any."""

    samples: SampleRows
    labels: Tensor | None


class Halves(NamedTuple):
    """Two disjoint sets of real samples, `(n, ...)` and `(m, ...)`, and the name of the splits they come from."""

    reference: Tensor
    other: Tensor
    origin: str


@dataclass(frozen=True)
class Facts:
    """What is known of data without looking at a sample.

    Args:
        shape: of one sample, `(channels, height, width)` or `(features,)`.
        bounds: the range of its values, or None for points of the plane.
        classes: the class names; empty without labels.
        centres: the modes of a synthetic mixture, `(modes, features)`, or None.
        std: the standard deviation of every mode; 0 without modes.
        fingerprint: a short digest of training and held-out samples, for caches; without one, nothing is cached.
        count: training samples; 0 where they are drawn without end.
        evaluated_on: what `Source.held_out` gives: "held-out" samples, which are never trained on, or "training" ones.
    """

    shape: tuple[int, ...]
    bounds: Bounds | None
    classes: tuple[str, ...] = ()
    centres: Tensor | None = None
    std: float = 0.0
    fingerprint: str = ""
    count: int = 0
    evaluated_on: Literal["held-out", "training"] = "training"

    @property
    def space(self) -> Space:
        """What a network must know of the samples."""
        return Space(self.shape, self.bounds, len(self.classes))


def are_classes_of(names: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Whether labels mean these classes: they have their names, in one order, or are numbers without names."""
    return names == wanted or all(name.isdecimal() for name in names)


class Source(ABC):
    """Opened data."""

    facts: Facts

    @abstractmethod
    def batch(self, number: int, size: int, streams: Streams) -> Batch:
        """Training batch `number`, or the streams' part of it, of shape `(*streams.lead, size, ...)`."""

    @abstractmethod
    def held_out(self, count: int, *, rng: Rng) -> Batch:
        """At most `count` samples for evaluation, `(n, ...)`: never augmented, held out where the data allow it."""

    def evaluation_set(self, count: int, *, rng: Rng) -> SampleSet:
        """The samples of `held_out`, to be read a few at a time."""
        return SampleSet(*self.held_out(count, rng=rng))

    def training_set(self, count: int, streams: Streams) -> SampleSet:
        """The first `count` training samples of one game, at most all, never augmented, to be read a few at a time."""
        return SampleSet(*self.unaugmented().batch(0, min(count, self.facts.count or count), streams))

    def training_parts(self, size: int) -> Iterator[Tensor]:
        """All training samples in their order, never augmented, `size` at a time; none where they have no end."""
        return iter(())

    def unaugmented(self) -> Source:
        """The same data, never augmented."""
        return self

    def whole(self) -> Source:
        """The same data, never augmented, with all training samples if only a share of them is trained on."""
        return self.unaugmented()

    def split(self, count: int) -> tuple[Source, Batch]:
        """The same data without `count` of the training samples, and these, never augmented; always the same ones.

        Raises:
            UsageError: there are fewer than twice as many training samples.
        """
        if self.facts.count:
            raise UsageError("selection: these data cannot be split", "leave it out, or use a prepared store")
        return self, self.batch(0, count, Streams(_SPLIT))  # drawn without end: no sample comes twice

    def halves(self, count: int, *, rng: Rng) -> Halves:
        """Two disjoint sets of at most `count` real samples each, never augmented.

        The reference comes from the training split and the other set from the test split if that is large enough;
        otherwise both are disjoint parts of one split.
        """
        drawn = self.held_out(2 * count, rng=rng).samples
        middle = len(drawn) // 2
        return Halves(drawn[:middle], drawn[middle : 2 * middle], "disjoint halves of one split")


class Data(Piece, family="data"):
    """Where real samples come from.

    Attributes:
        bounded: whether samples have a range, as `Facts.bounds` says once the data are opened.
    """

    bounded: ClassVar[bool] = True

    @abstractmethod
    def open(self, device: torch.device) -> Source:
        """Read or map the data.

        Raises:
            UsageError: there is nothing at the given path.
            CorruptInput: what is there is damaged or not what it says.
        """
