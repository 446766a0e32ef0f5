"""Files that are whole or absent: written beside their place, flushed to the disk, renamed. JSON is read strictly."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sparring.core.errors import CorruptInput, StorageError

PREFIX = ".partial-"
"""Of the name of what is being written."""
_RESTORE = "restore the file"


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Raise an OSError within the block as a StorageError about `path`."""
    try:
        yield
    except OSError as error:
        raise StorageError.from_os(error, path) from None


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` if the block succeeds, and is removed with the parents made for it if not.

    Raises:
        OSError: the disk refused.
    """
    path = path.absolute()
    made = [parent for parent in path.parents if not parent.exists()]
    temporary = _beside(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for entry in (*temporary.rglob("*"), temporary):
            sync(entry)
        os.rename(temporary, path)
        try:
            for parent in (path.parent, *(parent.parent for parent in made)):
                sync(parent)
        except OSError:
            os.rename(path, temporary)
            raise
    except BaseException:
        _erase(temporary)
        for parent in made:
            with suppress(OSError):  # not there, or not empty
                parent.rmdir()
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that at every moment either the old or the new one is there.

    Raises:
        StorageError: the disk refused.
    """
    temporary = _beside(path)
    with storage_errors(path):
        try:
            temporary.write_bytes(data)
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
        except BaseException:
            _erase(temporary)
            raise


def remove_whole(path: Path) -> None:
    """Remove a file or a folder so that at every moment it is whole or absent.

    Raises:
        OSError: the disk refused; it is still there.
    """
    temporary = _beside(path)
    os.rename(path, temporary)
    _erase(temporary)


def sweep_partial(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder that this process owns."""
    for leftover in folder.glob(f"{PREFIX}*"):
        _erase(leftover)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all; non-finite numbers are refused.

    Raises:
        StorageError: the disk refused.
    """
    write_whole(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """A value as a JSON document; non-finite numbers are refused."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def read_file(path: Path) -> bytes:
    """The bytes of a file that should exist.

    Raises:
        CorruptInput: it is missing, or a folder.
        StorageError: it cannot be read.
    """
    with storage_errors(path):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise CorruptInput(f"{path}: missing", _RESTORE) from None


def read_json(path: Path) -> dict[str, Any]:
    """The mapping that a JSON file holds.

    Raises:
        CorruptInput: the file is missing, is not JSON, or holds no mapping.
        StorageError: it cannot be read.
    """
    return json_mapping(read_file(path), str(path))


def json_mapping(data: bytes, source: str) -> dict[str, Any]:
    """The mapping that a JSON document holds.

    Args:
        data: the document.
        source: its name in errors.

    Raises:
        CorruptInput: it is not UTF-8, not JSON, or no mapping; NaN and infinity are not JSON.
    """
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptInput(f"{source}: not JSON ({error})", _RESTORE) from None
    if not isinstance(value, dict):
        raise CorruptInput(f"{source}: holds a {type(value).__name__}, not a mapping", _RESTORE)
    return value


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _beside(path: Path) -> Path:
    """A temporary name in the folder of `path`."""
    return path.with_name(f"{PREFIX}{path.name}-{secrets.token_hex(4)}")


def _erase(path: Path) -> None:
    """Remove a file, a link or a folder as far as the disk allows."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
