"""A lock file: one process holds it, and the lock ends with that process, however it ends.

The lock is the kernel's, on the open file, so nothing of it is left to be cleared away: a file that a killed process
left behind locks nobody out, whatever process number it names.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparring.core.errors import CorruptInput, FolderBusy, SparringError
from sparring.core.files import storage_errors

_PATIENCE = (0.0, 0.01, 0.03, 0.1, 0.2)
"""Seconds before each try: who only looks whether a lock is held takes it for a moment."""
_opened: set[int] = set()


class Lock:
    """A lock on a folder.

    Args:
        path: of the lock file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    @contextmanager
    def held(self, place: Path | None = None) -> Iterator[None]:
        """Hold it.

        Args:
            place: where the file is by now, if its folder is still to be moved to where it belongs.

        Raises:
            FolderBusy: another process holds it; names that process.
            CorruptInput: there is something else where the lock file belongs.
            StorageError: the operating system refuses to open it.
        """
        handle = self._open(place or self.path, os.O_RDWR | os.O_CREAT)
        try:
            with storage_errors(self.path):
                taken = _taken(handle)
            if not taken:
                raise self.busy(_name_in(handle))
            with contextlib.suppress(OSError):  # who holds it is a courtesy; a full disk must not stop a resume
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            self._handle = handle
            yield
        finally:
            self._handle = None
            _close(handle)

    def require(self) -> None:
        """Refuse to write on where the lock file was removed since this process took it: who comes takes a new one.

        Raises:
            FolderBusy: the file is not there any more, or is another one.
            StorageError: the operating system refuses to look.
        """
        if self._handle is None:
            return
        with storage_errors(self.path), contextlib.suppress(FileNotFoundError):
            if os.path.samestat(self.path.lstat(), os.fstat(self._handle)):
                return
        raise FolderBusy(
            f"{self.path}: removed while this process held it, so that another may use the folder",
            "leave the files of a run alone while it is played, and go on with `sparring resume`",
        )

    def holder(self) -> str | None:
        """The process that holds it now, or None; leaves no trace."""
        try:
            handle = self._open(self.path, os.O_RDONLY)
        except SparringError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _name_in(handle)
        finally:
            _close(handle)
        return None

    def busy(self, holder: str) -> FolderBusy:
        """What the others are told."""
        return FolderBusy(f"{self.path.parent}: in use by {holder}", "wait for it, or stop it first")

    def _open(self, path: Path, flags: int) -> int:
        """A run folder may come from a stranger: nothing but a file of its own is opened, and written to."""
        with storage_errors(path):
            with contextlib.suppress(FileNotFoundError):
                found = path.lstat()
                if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                    raise CorruptInput(f"{path}: not a lock file", "remove it, if no process uses the folder")
            handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        _opened.add(handle)
        return handle


def _taken(handle: int) -> bool:
    """Take the lock on an open file; whether nobody else holds it."""
    for seconds in _PATIENCE:
        time.sleep(seconds)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def _name_in(handle: int) -> str:
    return os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"


def _close(handle: int) -> None:
    if handle in _opened:  # else this is a forked child, and closed it long ago
        _opened.discard(handle)
        os.close(handle)


def _let_go() -> None:
    """Close what a forked child inherited: it would hold a lock on behalf of a parent that is gone."""
    while _opened:
        os.close(_opened.pop())


os.register_at_fork(after_in_child=_let_go)
