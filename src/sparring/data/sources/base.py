"""What a reader makes of a source: named splits of examples, each read when its pixels are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""`(channels, height, width)`."""

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


class Unreadable(Exception):
    """Why an example has no pixels, in one line."""


class Example(NamedTuple):
    """One sample of a source, not yet decoded: a sample that nobody asks for costs no more than its label.

    Args:
        where: names it in messages.
        read: its pixels, or None where a fault of the whole source has told why there are none; raises `Unreadable`.
        label: the class index, or None.
    """

    where: str
    read: Callable[[], Pixels | None]
    label: int | None = None


def unreadable(where: str, why: str, label: int | None = None) -> Example:
    """An example without pixels."""

    def refuse() -> Pixels:
        raise Unreadable(why)

    return Example(where, refuse, label)


@dataclass(frozen=True)
class Split:
    """One split of a source.

    Args:
        count: examples that are announced.
        examples: reads them from the first on.
    """

    count: int
    examples: Callable[[], Iterator[Example]]


@dataclass(frozen=True)
class Raw:
    """An opened source.

    Args:
        kind: which reader opened it.
        labelled: whether every example must have a label.
        splits: by name.
        classes: their names, where the source names them.
    """

    kind: str
    labelled: bool
    splits: Mapping[str, Split]
    classes: tuple[str, ...] = field(default=())


def split_in(name: str) -> str:
    """The split that a file or folder name mentions, or nothing: `train-0-of-1.parquet` is `train`."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((SPLITS[word] for word in words if word in SPLITS), "")


def first_of(path: Path, names: Iterable[str]) -> str | None:
    """The first of these that is below a path."""
    return next((name for name in names if (path / name).exists()), None)
