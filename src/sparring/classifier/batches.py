"""One term of a classifier's loss: labelled samples of one origin, with their weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor

from sparring.core.shapes import Samples
from sparring.data.mixing import LabelShare

SampleOrigin = Literal["real", "fake", "mixed"]
"""Real samples, generated ones, or a batch of both."""


class WeightedBatch(NamedTuple):
    """Labelled samples of one term of the loss.

    Args:
        origin: of the samples.
        weight: of the term.
        samples: `(n, ...)`.
        targets: their labels; more than one where samples are mixed.
    """

    origin: SampleOrigin
    weight: float
    samples: Samples
    targets: tuple[LabelShare, ...]

    @property
    def labels(self) -> Tensor:
        """The first label of every sample, `(n)`."""
        return self.targets[0].labels

    def over_labels(self, losses: Callable[[Tensor], Tensor]) -> Tensor:
        """The loss per sample `(n)`, weighted by the shares of the labels.

        Args:
            losses: per sample, of one label each, `(n)` to `(n)`.
        """
        if len(self.targets) == 1:
            return losses(self.labels)
        first, *others = (share * losses(labels) for labels, share in self.targets)
        return sum(others, first)
