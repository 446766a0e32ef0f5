"""The files of a source: plain ones only. A link is followed: the user named it, or it stays within the source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import BufferedReader, BytesIO, TextIOWrapper
from pathlib import Path

from sparring.core.strict import plain_file, read_plain

_LONGEST_TEXT = 2**24
"""Bytes; the lists of images that data sets come with are a few MB long."""


def opened(path: Path) -> AbstractContextManager[BufferedReader]:
    """A file, open for reading.

    Raises:
        CorruptInput: it is missing or no plain file.
        OSError: it cannot be read.
    """
    return plain_file(path.resolve())


def contents(path: Path, most: int) -> bytes:
    """The bytes of a file.

    Raises:
        CorruptInput: it is missing, no plain file, or larger than `most`.
        OSError: it cannot be read.
    """
    return read_plain(path.resolve(), most)


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text; what is not UTF-8 is replaced.

    Raises:
        CorruptInput: it is missing, no plain file, or too long.
        OSError: it cannot be read.
    """
    return enumerate(TextIOWrapper(BytesIO(contents(path, _LONGEST_TEXT)), errors="replace"), 1)
