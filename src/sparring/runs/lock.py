"""One process owns a folder: by a lock of the operating system, which ends with the process."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sparring.core.errors import FolderBusy
from sparring.core.files import storage_errors, sweep_partial

LOCK = ".lock"
"""The lock file of a folder. It stays; its text, the owner, is for error messages only."""
_PATIENCE = 0.5
"""Seconds to wait for the lock: `owner` takes it for a moment."""
_SAVING = 60.0
"""Seconds that workers of an earlier coordinator, which died, have to save and end."""


@contextmanager
def owned(folder: Path, place: Path | None = None) -> Iterator[None]:
    """A block in which this process owns a folder.

    Args:
        folder: the folder.
        place: where it is now, if it is still to be moved.

    Raises:
        FolderBusy: another process owns it.
        StorageError: the operating system refuses to open the lock file.
    """
    path = (place or folder) / LOCK
    lock = FileLock(path)
    with storage_errors(path):
        try:
            lock.acquire(timeout=_PATIENCE, poll_interval=0.02)
        except Timeout:
            raise busy(folder, _name_in(path)) from None
    try:
        with suppress(OSError):  # a full disk does not stop a resume
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        lock.release()


@contextmanager
def owned_with_runs(folder: Path, runs: str) -> Iterator[None]:
    """A block in which this process owns a folder of runs, once workers of an earlier owner that died have saved.

    What killed processes left half-written is removed.

    Args:
        folder: the folder.
        runs: pattern of its run folders, as `runs/*`.

    Raises:
        FolderBusy: another process owns it.
        StorageError: the operating system refuses to open the lock file.
    """
    with owned(folder):
        deadline = time.monotonic() + _SAVING
        while time.monotonic() < deadline and any(map(owner, folder.glob(runs))):
            time.sleep(0.1)
        _sweep(folder, runs)
        yield
        _sweep(folder, runs)


def _sweep(folder: Path, runs: str) -> None:
    for place in {folder, *(run.parent for run in folder.glob(runs))}:
        sweep_partial(place)


def owner(folder: Path) -> str | None:
    """The process that owns a folder now, or None."""
    path = folder / LOCK
    if not path.exists():
        return None
    try:
        with FileLock(path).acquire(timeout=_PATIENCE / 5, poll_interval=0.02):
            return None
    except Timeout:
        return _name_in(path)
    except OSError:  # the folder is read-only
        return None


def busy(folder: Path, process: str) -> FolderBusy:
    """The error that another process owns a folder."""
    return FolderBusy(f"{folder}: in use by {process}", "wait for it, or stop it first")


def _name_in(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip() or "another process"
    except OSError:
        return "another process"
