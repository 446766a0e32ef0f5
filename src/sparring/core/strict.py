"""Plain files of a sane size, for data from elsewhere."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from sparring.core.errors import CorruptInput

_REMEDY = "restore the file"


@contextmanager
def plain_file(path: Path) -> Iterator[BufferedReader]:
    """An existing plain file, open for reading; links are not followed, and no pipe or device is waited for.

    Raises:
        CorruptInput: there is none, or it is something else.
        OSError: it cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise CorruptInput(f"{path}: missing", _REMEDY) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise CorruptInput(f"{path}: not a plain file", _REMEDY) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise CorruptInput(f"{path}: not a plain file", _REMEDY)
        with open(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def read_plain(path: Path, largest: int) -> bytes:
    """The bytes of a plain file.

    Args:
        path: of the file.
        largest: how many bytes it may have.

    Raises:
        CorruptInput: it is missing, no plain file, or larger.
        OSError: it cannot be read.
    """
    with plain_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            raise CorruptInput(f"{path}: {size:,} bytes, where at most {largest:,} are believed", _REMEDY)
        return file.read(size)
