"""The files of a stranger: only regular ones are opened, and never more is read of one than is asked for."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from io import BufferedReader, BytesIO, TextIOWrapper
from pathlib import Path

_LONGEST_TEXT = 2**24
"""Bytes; the lists of images that data sets come with are a few MB long."""


def opened(path: Path) -> BufferedReader:
    """A regular file, open for reading. A pipe would wait for ever, and a device may do anything.

    Raises:
        OSError: it is none, or cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


def contents(path: Path, most: int) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it cannot be read, or there are more than `most`.
    """
    with opened(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
    return content


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text; what is not UTF-8 is replaced.

    Raises:
        OSError: it cannot be read, or is too long.
    """
    return enumerate(TextIOWrapper(BytesIO(contents(path, _LONGEST_TEXT)), errors="replace"), 1)
