"""Files that are whole or absent: written beside their place, flushed to the disk, renamed. JSON is read strictly."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
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
    """Raise what the operating system refuses within the block as a StorageError about `path`."""
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


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and flush it to the disk.

    Raises:
        OSError: the disk refused.
    """
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` if the block succeeds, and is removed with the parents made for it if not.

    What a killed process left of an earlier attempt at the same path is removed first.

    Raises:
        OSError: the disk refused.
    """
    path = path.absolute()
    made = [parent for parent in path.parents if not parent.exists()]
    temporary = _beside(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for entry in temporary.rglob("*"):
            sync(entry)
        sync(temporary)
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


@contextmanager
def folder_for(path: Path) -> Iterator[None]:
    """A block that fills a folder; if it fails, the folder goes with any parent made for it, as far as it is empty.

    Raises:
        StorageError: the disk refused.
    """
    made = [each for each in (path, *path.parents) if not each.exists()]
    try:
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in made:
            with suppress(OSError):
                each.rmdir()
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that at every moment either the old or the new one is there.

    What a killed process left of an earlier attempt at the same path is removed first.

    Raises:
        StorageError: the disk refused.
    """
    temporary = _beside(path)
    with storage_errors(path):
        try:
            write_synced(temporary, data)
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


def json_bytes(value: Any) -> bytes:
    """A value as a JSON document; non-finite numbers are refused."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all; non-finite numbers are refused.

    Raises:
        StorageError: the disk refused.
    """
    write_whole(path, json_bytes(value))


def read_file(path: Path) -> bytes:
    """The bytes of a file that should exist.

    Raises:
        CorruptInput: it is missing, or a folder.
        StorageError: it cannot be read.
    """
    with storage_errors(path), missing_is_corrupt():
        return path.read_bytes()


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


@contextmanager
def missing_is_corrupt() -> Iterator[None]:
    """Report a file that is missing within the block as CorruptInput."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise CorruptInput(f"{error.filename}: missing", _RESTORE) from None


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def sweep_partial(folder: Path) -> None:
    """Remove what processes that have ended left half-written in a folder.

    What another live process is writing stays. What carries the number of this process is of an earlier one: nothing
    that this process is writing may be in the folder.
    """
    for leftover in folder.glob(f"{PREFIX}*"):
        if _process_of(leftover) == os.getpid() or not _is_being_written(leftover):
            _erase(leftover)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(path: Path) -> Path:
    """A name for what is to become `path`, with the process number in it.

    What processes that have ended left under such a name is removed.
    """
    for leftover in path.parent.glob(f"{PREFIX}{glob.escape(path.name)}-*"):
        if not _is_being_written(leftover):
            _erase(leftover)
    return path.with_name(f"{PREFIX}{path.name}-{os.getpid()}-{secrets.token_hex(4)}")


def _is_being_written(temporary: Path) -> bool:
    """Whether the process that writes this file or folder is alive; the name carries the process number."""
    number = _process_of(temporary)
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return number > 0


def _process_of(temporary: Path) -> int:
    """The process number in a name that `_beside` made; 0 in any other name."""
    found = re.fullmatch(r".*-([0-9]{1,9})-[0-9a-f]+", temporary.name)
    return int(found[1]) if found else 0


def _erase(path: Path) -> None:
    """Remove a file, a link or a folder as far as the disk allows."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
