"""What a reader makes of a source: named splits of samples, each decoded only when its pixels are needed."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sparring.core.errors import UsageError
from sparring.data.faults import Faults

Pixels = npt.NDArray[np.uint8]
"""`(channels, height, width)`."""

Numbers = npt.NDArray[Any]

SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "t10k": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
}
"""The words that name a split in a file or folder name, and the split."""


class UnreadableImage(Exception):
    """Why a sample has no pixels, in one line."""


class RawSample(NamedTuple):
    """One sample of a source, not yet decoded.

    Args:
        where: names it in messages.
        read: decodes its pixels; raises `UnreadableImage`.
        label: the class index, or None.
    """

    where: str
    read: Callable[[], Pixels]
    label: int | None = None


@dataclass(frozen=True)
class RawSplit:
    """One split of a source.

    Args:
        count: the number of samples.
        samples: iterates over them from the first on.
    """

    count: int
    samples: Callable[[], Iterator[RawSample]]


@dataclass(frozen=True)
class RawDataset:
    """An opened source.

    Args:
        kind: which reader opened it.
        labelled: whether every sample must have a label.
        splits: by name.
        classes: their names, where the source has names.
        notes: how values were read, where that is not plain.
    """

    kind: str
    labelled: bool
    splits: Mapping[str, RawSplit]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def array_dataset(
    kind: str, arrays: Mapping[str, Mapping[str, Numbers | None]], faults: Faults, classes: tuple[str, ...] = ()
) -> RawDataset:
    """A data set of arrays in memory.

    Args:
        kind: which reader opened it.
        arrays: by split, `images`, uint8 `(n, channels, height, width)`, and `labels`, whole numbers `(n)`; None for
            an array that is at fault.
        faults: what is missing is added, and lengths that differ.
        classes: their names, where the source has names.
    """
    labelled = any("labels" in split for split in arrays.values())
    splits = {}
    for name, split in arrays.items():
        for what in ("images", "labels") if labelled else ("images",):
            if what not in split:
                faults.add(f"{name}: there are no {what}")
        images, labels = split.get("images"), split.get("labels")
        if images is not None:
            if labels is not None and len(labels) != len(images):
                faults.add(f"{name}: {len(images):,} images, but {len(labels):,} labels")
            splits[name] = RawSplit(len(images), partial(_array_samples, name, images, labels))
    return RawDataset(kind, labelled, splits, classes)


def _array_samples(name: str, images: Numbers, labels: Numbers | None) -> Iterator[RawSample]:
    numbers = [None] * len(images) if labels is None else labels.tolist()
    for index, (pixels, label) in enumerate(zip(images, numbers, strict=False)):
        yield RawSample(f"{name}[{index}]", partial(np.asarray, pixels), label)


def unreadable(where: str, why: str, label: int | None = None) -> RawSample:
    """A sample without pixels."""

    def refuse() -> Pixels:
        raise UnreadableImage(why)

    return RawSample(where, refuse, label)


def split_in(name: str) -> str:
    """The split that a file or folder name mentions, or nothing: `train-0-of-1.parquet` is `train`."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((SPLITS[word] for word in words if word in SPLITS), "")


def first_of(path: Path, names: Iterable[str]) -> str | None:
    """The first of these names that exists below a path."""
    return next((name for name in names if (path / name).exists()), None)


def optional_library(name: str, *, extra: str) -> Any:
    """Import a package that only some sources need.

    Raises:
        UsageError: it is not installed; the remedy names the extra of sparring that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(f"reading this source needs {name!r}", f"pip install 'sparring[{extra}]'") from None
