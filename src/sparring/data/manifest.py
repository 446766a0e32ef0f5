"""The manifest of a prepared store: what the data are, where they came from, each file's size and hash."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sparring.core.errors import printable
from sparring.core.records import Bytes, Count, Every, Record
from sparring.data.selection import Dropped, Selection

FILENAME = "manifest.json"
SAMPLES = "samples.npy"
LABELS = "labels.npy"

Name = Annotated[str, AfterValidator(printable)]
"""A name that comes from the source; characters that would steer a terminal are escaped."""
SplitName = Annotated[str, Field(pattern=r"^\w+$")]


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
    """

    format: Literal[1] = 1
    source: Name
    kind: Name
    selection: Selection = Selection()
    size: Count | None = None
    shape: Annotated[tuple[Count, Count, Count], Field(strict=False)]
    classes: Annotated[tuple[Name, ...], Field(strict=False)]
    splits: dict[SplitName, StoredSplit]

    @property
    def fingerprint(self) -> str:
        """A short digest of every file's hash."""
        hashes = [
            f"{name}/{file}:{facts.sha256}"
            for name, split in sorted(self.splits.items())
            for file, facts in split.files().items()
        ]
        return hashlib.sha256("\n".join([*hashes, *self.classes]).encode()).hexdigest()[:12]
