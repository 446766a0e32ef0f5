"""Files that a stranger may have written, read strictly: plain files of a sane size, and JSON without surprises."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from sparring.core.errors import CorruptInput, printable

LARGEST = 64 << 20
"""Bytes of a JSON document, at most."""
_DIGITS = 100
"""Of a whole number, at most."""
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


def sha256_of_first(path: Path, count: int) -> str:
    """The SHA-256 of the first `count` bytes of a plain file, in hexadecimal.

    Raises:
        CorruptInput: it is missing, no plain file, or shorter.
        OSError: it cannot be read.
    """
    digest, left = hashlib.sha256(), count
    with plain_file(path) as file:
        while left and (part := file.read(min(left, 1 << 20))):
            digest.update(part)
            left -= len(part)
    if left:
        raise CorruptInput(f"{path}: {count - left:,} bytes, where {count:,} were written", _REMEDY)
    return digest.hexdigest()


def mapping_in(data: bytes, what: str) -> dict[str, Any]:
    """The mapping that a JSON document holds.

    Args:
        data: the document.
        what: it is called in errors.

    Raises:
        CorruptInput: it is not UTF-8 or not JSON, a key stands twice, a number is not finite or endless, it nests too
            deeply, it is no mapping, or far too long.
    """
    if len(data) > LARGEST:
        raise CorruptInput(f"{what}: {len(data):,} bytes", _REMEDY)
    try:
        found = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refused,
            parse_float=_finite,
            parse_int=_whole,
        )
        if rb"\u" in data:
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except RecursionError:
        raise CorruptInput(f"{what}: nested too deeply", _REMEDY) from None
    except ValueError as error:
        raise CorruptInput(f"{what}: not JSON ({printable(str(error))})", _REMEDY) from None
    if not isinstance(found, dict):
        raise CorruptInput(f"{what}: holds a {type(found).__name__}, not a mapping", _REMEDY)
    return found


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a JSON file holds.

    Raises:
        CorruptInput: as `read_plain` and `mapping_in`.
        OSError: it cannot be read.
    """
    return mapping_in(read_plain(path, LARGEST), str(path))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key given twice: {next(name for name in names if names.count(name) > 1)!r}")
    return found


def _refused(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:_DIGITS]} is beyond all numbers")
    return value


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text):,} digits")
    return int(text)
