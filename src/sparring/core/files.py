"""Files that are whole or absent: written beside their place, flushed to the disk, and moved there in one step."""

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

from sparring.core.errors import StorageError

PREFIX = ".partial-"


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Tell what the operating system refuses within the block as a StorageError about `path`."""
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
    """A temporary folder that becomes `path` if the block succeeds, and vanishes with any parent made for it if not.

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


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all; non-finite numbers are refused."""
    write_whole(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def sweep_partial(folder: Path) -> None:
    """Remove everything half-written in a folder that nobody else writes to.

    Process numbers say nothing here: those of a restarted container are the same again.
    """
    for leftover in folder.glob(f"{PREFIX}*"):
        _erase(leftover)


def sweep_abandoned(folder: Path) -> None:
    """Remove what processes that are gone left half-written in a folder that others may be writing to as well.

    Nothing in it may be this process's own work: its number may be that of one before it.
    """
    for leftover in folder.glob(f"{PREFIX}*"):
        if _process_of(leftover) == os.getpid() or not _is_at_work(leftover):
            _erase(leftover)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(path: Path) -> Path:
    """A name for what is to become `path`, with the process in it; removes what dead processes left of the same."""
    for leftover in path.parent.glob(f"{PREFIX}{glob.escape(path.name)}-*"):
        if not _is_at_work(leftover):
            _erase(leftover)
    return path.with_name(f"{PREFIX}{path.name}-{os.getpid()}-{secrets.token_hex(4)}")


def _is_at_work(temporary: Path) -> bool:
    """Whether the process that makes this file or folder still lives; its name carries the process number."""
    number = _process_of(temporary)
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return number > 0


def _process_of(temporary: Path) -> int:
    """The process number in a name that `_beside` gave, or 0 in another."""
    found = re.fullmatch(r".*-([0-9]{1,9})-[0-9a-f]+", temporary.name)
    return int(found[1]) if found else 0


def _erase(path: Path) -> None:
    """Remove a file, a link or a folder as far as the disk lets us."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
