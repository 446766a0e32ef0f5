"""Files that are whole or absent: written beside their place, flushed to the disk, and moved there in one step."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sparring.errors import StorageError

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


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` if the block succeeds, and vanishes with any parent made for it if not.

    What a killed process left of an earlier attempt at the same path is removed first.

    Raises:
        OSError: the disk refused.
    """
    path = path.absolute()
    made = [parent for parent in path.parents if not parent.exists()]
    for leftover in path.parent.glob(f"{PREFIX}{glob.escape(path.name)}-*"):
        if not _is_at_work(leftover):
            shutil.rmtree(leftover, ignore_errors=True)
    temporary = path.with_name(f"{PREFIX}{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for entry in temporary.rglob("*"):
            sync(entry)
        sync(temporary)
        os.rename(temporary, path)
        sync(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
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


def _is_at_work(temporary: Path) -> bool:
    """Whether the process that makes this temporary folder still lives; its name carries the process number."""
    try:
        os.kill(int(temporary.name.rsplit("-", 2)[1]), 0)
    except ProcessLookupError:
        return False
    except (ValueError, IndexError, OSError):
        return True
    return True


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that at every moment either the old or the new one is there.

    Raises:
        StorageError: the disk refused.
    """
    temporary = path.with_name(f"{PREFIX}{path.name}-{secrets.token_hex(4)}")
    try:
        with storage_errors(path):
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all; non-finite numbers are refused."""
    write_whole(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def sweep_partial(folder: Path) -> None:
    """Remove what a killed process left half-written in this folder."""
    for leftover in folder.glob(f"{PREFIX}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
