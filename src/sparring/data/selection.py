"""Which samples of a source go into a store, and how much of each: the step before scaling."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from sparring.core.errors import UsageError
from sparring.core.records import Count, Every, Record

_RANGE = re.compile(r"(\d+)\.\.(\d+)")

LabelRange = Annotated[tuple[Every, Every], Field(strict=False)]
"""The first and the last class, counted from 0, both included."""


class Selection(Record):
    """What is taken of a source; by default all of it.

    Args:
        labels: the classes that are kept, by their place in the source's order (ImageNet's: sorted WordNet ids). The
            first becomes class 0 and all keep their names. None keeps all classes.
        min_side: images with a shorter side, in pixels, are dropped; None drops none.
        crop: the edge, in pixels, of the square in the middle that is kept of every image before it is scaled; None
            leaves this to the scaling, which keeps the largest square.
    """

    labels: LabelRange | None = None
    min_side: Count | None = None
    crop: Count | None = None

    @field_validator("labels")
    @classmethod
    def _in_order(cls, labels: LabelRange | None) -> LabelRange | None:
        if labels is not None and labels[0] > labels[1]:
            raise ValueError(f"should be a range from a lower to a higher class, not {_range(labels)}")
        return labels

    def takes(self, label: int | None) -> bool:
        """Whether samples of a class are kept."""
        return self.labels is None or (label is not None and self.labels[0] <= label <= self.labels[1])

    def takes_size(self, height: int, width: int) -> bool:
        """Whether images of a size are kept."""
        return self.min_side is None or min(height, width) >= self.min_side

    def renumbered(self, label: int | None) -> int | None:
        """The number that a class of the source has in the store."""
        return label if label is None or self.labels is None else label - self.labels[0]

    def left_out(self, dropped: Dropped) -> str:
        """What was dropped of a split, for a message; empty if nothing was."""
        classes = f"{dropped.other_classes:,} of other classes" if dropped.other_classes else ""
        small = f"{dropped.small:,} with a side under {self.min_side}" if dropped.small else ""
        return " and ".join(filter(None, (classes, small)))

    def kept_classes(self, classes: tuple[str, ...], *, source: str) -> tuple[str, ...]:
        """The names of the classes that are kept.

        Raises:
            UsageError: the source has no classes, or not all of these.
        """
        if self.labels is None:
            return classes
        if not classes:
            raise UsageError(f"labels = {_range(self.labels)}: {source} has no labels", "prepare it without a range")
        if self.labels[1] >= len(classes):
            known = f"{source} has {len(classes):,} classes, 0..{len(classes) - 1}"
            raise UsageError(
                f"labels = {_range(self.labels)}: {known}", "give a range within; without one, all are kept"
            )
        return classes[self.labels[0] : self.labels[1] + 1]


class Dropped(Record):
    """How many samples of a split were left out, and why.

    Args:
        other_classes: those whose class is not kept.
        small: those of a class that is kept with a side under `Selection.min_side`.
    """

    other_classes: Every = 0
    small: Every = 0


def label_range(text: str) -> tuple[int, int]:
    """The range of classes written as FIRST..LAST, both included.

    Raises:
        UsageError: it is not a range.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or int(match[1]) > int(match[2]):
        raise UsageError(f"labels = {text!r}: not a range FIRST..LAST", "write, for example, 151..293")
    return int(match[1]), int(match[2])


def _range(labels: tuple[int, int]) -> str:
    return f"{labels[0]}..{labels[1]}"
