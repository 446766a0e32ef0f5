"""The manifest of a prepared store: what was taken of which source, and each file's size and hash."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sparring.core.errors import UsageError, printable
from sparring.core.records import Bytes, Count, Every, Record

FILENAME = "manifest.json"
SAMPLES = "samples.npy"
LABELS = "labels.npy"
HELD_OUT_SPLITS = ("test", "validation")
"""What evaluation takes, in order of preference; without either, what is trained on."""

Name = Annotated[str, AfterValidator(printable)]
"""A name that comes from the source; characters that would steer a terminal are escaped."""
SplitName = Annotated[str, Field(pattern=r"^\w+$")]
LabelRange = Annotated[tuple[Every, Every], Field(strict=False)]
"""The first and the last class, counted from 0, both included."""
Fraction = Annotated[float, Field(ge=0, lt=1)]
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


class Selection(Record):
    """What is taken of a source; by default all of it.

    Args:
        labels: the classes that are kept, by their place in the source's order (ImageNet's: sorted WordNet ids). The
            first becomes class 0 and all keep their names. None keeps all classes.
        min_side: images with a shorter side, in pixels, are dropped; None drops none.
        crop: the edge, in pixels, of the square in the middle that is kept of every image before it is scaled; None
            leaves this to the scaling, which keeps the largest square.
        test_fraction: the share of every class that is held out as the test split, 0 for none; None takes a tenth where
            the source has no test split of its own.
        seed: of that draw.
    """

    labels: LabelRange | None = None
    min_side: Count | None = None
    crop: Count | None = None
    test_fraction: Fraction | None = None
    seed: Every = 0

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
            UsageError: the source does not have all of these.
        """
        if self.labels is None:
            return classes
        first, last = self.labels
        if last >= len(classes):
            raise UsageError(
                f"labels = {first}..{last}: {source} has {len(classes):,} classes, counted from 0",
                "give a range within; without one, all are kept",
            )
        return classes[first : last + 1]


class Dropped(Record):
    """How many samples of a split were left out, and why.

    Args:
        other_classes: those whose class is not kept.
        small: those of a class that is kept with a side under `Selection.min_side`.
    """

    other_classes: Every = 0
    small: Every = 0


class StoredFile(Record):
    """The size and hash of a file."""

    bytes: Bytes
    sha256: str


class StoredSplit(Record):
    """One split.

    Args:
        count: samples.
        per_class: samples of every class; empty without labels.
        samples: the file of pixels.
        labels: the file of labels, or None.
        dropped: samples of the source that were left out.
    """

    count: Count
    per_class: Annotated[tuple[Every, ...], Field(strict=False)]
    samples: StoredFile
    labels: StoredFile | None
    dropped: Dropped = Dropped()

    def files(self) -> dict[str, StoredFile]:
        """The split's files by name."""
        return {SAMPLES: self.samples} | ({LABELS: self.labels} if self.labels else {})


class StoreManifest(Record):
    """What a prepared store holds.

    Args:
        format: the version of the layout on disk.
        source: the name of the folder or file it was prepared from, or the hub id.
        kind: how the source was read.
        selection: what was taken of the source; older manifests lack it and hold all.
        size: the edge that images were resized and cropped to, or None.
        shape: of a sample, `(channels, height, width)`.
        classes: the class names; empty without labels.
        splits: by name.
        notes: how values of the source were read.
    """

    format: Literal[1] = 1
    source: Name
    kind: Name
    selection: Selection = Selection()
    size: Count | None = None
    shape: Annotated[tuple[Count, Count, Count], Field(strict=False)]
    classes: Annotated[tuple[Name, ...], Field(strict=False)]
    splits: dict[SplitName, StoredSplit]
    notes: Annotated[tuple[Name, ...], Field(strict=False)] = ()

    @property
    def held_out(self) -> str:
        """The split that evaluation takes; empty without one."""
        return next((name for name in HELD_OUT_SPLITS if name in self.splits), "")

    @property
    def what_is_held_out(self) -> str:
        """How many images evaluation takes that nothing is trained on, in a few words."""
        if not self.held_out:
            return "no images are held out for evaluation"
        fraction = self.selection.test_fraction
        share = f", {fraction:g} of every class" if fraction else ""
        return f"{self.splits[self.held_out].count:,} images are held out for evaluation{share}"

    @property
    def fingerprint(self) -> str:
        """A short digest of every file's hash."""
        hashes = [
            f"{name}/{file}:{facts.sha256}"
            for name, split in sorted(self.splits.items())
            for file, facts in split.files().items()
        ]
        return hashlib.sha256("\n".join([*hashes, *self.classes]).encode()).hexdigest()[:12]


def label_range(text: str) -> tuple[int, int]:
    """The range of classes written as FIRST..LAST, both included.

    Raises:
        UsageError: it is not a range.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or int(match[1]) > int(match[2]):
        raise UsageError(f"labels = {text!r}: not a range FIRST..LAST", "write, for example, 151..293")
    return int(match[1]), int(match[2])
