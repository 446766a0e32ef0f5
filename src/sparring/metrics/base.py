"""Metric: a number about generated samples, with the protocol that it was measured by."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sparring.pieces import Piece


@dataclass(frozen=True)
class Judge:
    """A classifier of the data.

    Args:
        logits: samples `(n, ...)` to class logits `(n, classes)`.
        name: what it is and how well it does on held-out data.
    """

    logits: Callable[[Tensor], Tensor]
    name: str


@dataclass(frozen=True, eq=False)
class Reference:
    """What generated samples are compared with.

    Args:
        samples: held-out real samples, `(n, ...)`.
        centres: the modes of a mixture `(modes, features)`, or None.
        std: the standard deviation of a mode.
        classes: class names, empty without labels.
        judge: a classifier of the data, or None.
    """

    samples: Tensor
    centres: Tensor | None
    std: float
    classes: tuple[str, ...]
    judge: Judge | None


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
    def protocol(self, reference: Reference) -> str:
        """The criterion in words, to stand beside every number."""
