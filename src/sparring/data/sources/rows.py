"""Arrays that are read front to back: whatever a file unpacks to, no more than a few blocks of it are in memory.

A file is read once to find what is wrong with it before any sample is taken, and then as often as samples are asked
for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BufferedIOBase
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.data.faults import Faults
from sparring.data.npy import Header
from sparring.data.sources.base import Example, Pixels, Split

Numbers = npt.NDArray[Any]

_BLOCK = 2**20
_LARGEST = 2**25
"""Bytes of one sample."""
BOMB, SMALL = 500, 2**26
"""How many times a file's size it may unpack to, beyond so many bytes; pictures of two levels go up to a hundred."""


@dataclass(frozen=True)
class Rows:
    """An array of so many rows.

    Args:
        shape: of the whole.
        dtype: of its numbers.
        blocks: some rows at a time, from the first on; raises what its file raises.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Callable[[], Iterator[Numbers]]

    @classmethod
    def of(cls, array: Numbers) -> Rows:
        """An array in memory."""
        return cls(array.shape, array.dtype, lambda: iter((array,)))

    @classmethod
    def behind(cls, header: Header, opened: Callable[[], AbstractContextManager[BufferedIOBase]], stored: int) -> Rows:
        """The array behind a header.

        Args:
            header: says what it is.
            opened: the file, from its beginning.
            stored: bytes of the file.

        Raises:
            ValueError: it would take more than a sample, or a file of this size, can.
        """
        if not header.shape:
            raise ValueError("a single number")
        row = math.prod(header.shape[1:]) * header.dtype.itemsize
        whole = header.shape[0] * row
        if row > _LARGEST:
            raise ValueError(f"samples of {row:,} bytes, where {_LARGEST:,} are allowed")
        if whole > max(SMALL, BOMB * stored):
            raise ValueError(f"{stored:,} bytes would unpack to {whole:,}")

        def blocks() -> Iterator[Numbers]:
            count, left = max(_BLOCK // max(row, 1), 1), header.shape[0]
            with opened() as stream:
                _exactly(stream, header.offset)
                while left:
                    size = min(count, left)
                    block = np.frombuffer(_exactly(stream, size * row), header.dtype)
                    yield block.reshape(size, *header.shape[1:])
                    left -= size
                if stream.read(1):
                    raise ValueError("bytes are left over behind the array")

        return cls(header.shape, header.dtype, blocks)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (row for block in self.blocks() for row in block)

    def each(self, change: Callable[[Numbers], Numbers]) -> Rows:
        """The same with every block changed; rows stay rows."""
        like = change(np.empty((0, *self.shape[1:]), self.dtype))
        return Rows((len(self), *like.shape[1:]), like.dtype, lambda: map(change, self.blocks()))


def split_of_rows(name: str, images: Rows | None, labels: Rows | None, faults: Faults) -> Split:
    """A split from arrays that have been read once, and are sound.

    Args:
        name: of the split.
        images: uint8 `(n, channels, height, width)`; None if a fault of theirs has been told.
        labels: whole numbers `(n)`, or None.
        faults: unlike lengths are added.
    """
    counts = [len(rows) for rows in (images, labels) if rows is not None]
    if len(set(counts)) > 1:
        faults.add("labels", f"{name}: {counts[0]:,} images, but {counts[1]:,} labels")

    def examples() -> Iterator[Example]:
        pairs = zip_longest(images or (), labels or ())
        for index, (image, label) in enumerate(pairs):
            yield Example(f"{name}[{index}]", _given(image), None if label is None else int(label))

    return Split(max(counts, default=0), examples)


def _given(pixels: Pixels | None) -> Callable[[], Pixels | None]:
    return lambda: pixels


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    content = stream.read(size)
    while len(content) < size:
        more = stream.read(size - len(content))
        if not more:
            raise ValueError("cut short")
        content += more
    return content
