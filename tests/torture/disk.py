"""A disk that fails at a chosen operation: the operations of this process on files below a folder, counted.

Operations of Python are counted: opens, reads, writes, syncs, renames, truncations, removals and new folders. A write
that is chosen has written half of its bytes by then.
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

_OPEN = io.open
_BY_PATH = ("open", "rename", "replace", "mkdir", "unlink", "remove", "rmdir")
_BY_HANDLE = ("fsync", "ftruncate")
SPENDING = ("mkdir", "write")
"""The operations that need space: a full disk refuses them again and again."""


class Counted:
    """The operations so far, by name, oldest first.

    Args:
        under: the folder that they are counted below.
        at: the operation at which `act` is called, from 1; 0 for none.
        act: raises, or ends the process.
        lasting: names of operations at which `act` is called ever after.
    """

    def __init__(self, under: Path, at: int, act: Callable[[], None], lasting: Collection[str]) -> None:
        self.names: list[str] = []
        self._under, self._at, self._act, self._lasting = os.fspath(under.resolve()), at, act, lasting

    @property
    def count(self) -> int:
        """The number of operations."""
        return len(self.names)

    def concerns(self, path: Any) -> bool:
        """Whether a path, or an open file by its number, lies below the folder."""
        name = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else os.path.abspath(os.fsdecode(path))
        return name == self._under or name.startswith(self._under + os.sep)

    def is_due(self, name: str) -> bool:
        """Count an operation; whether to act at it."""
        self.names.append(name)
        return self.count == self._at or (0 < self._at < self.count and name in self._lasting)

    def note(self, name: str) -> None:
        """Count an operation, and act if it is due."""
        if self.is_due(name):
            self._act()

    def write(self, data: Any, write: Callable[[Any], int]) -> int:
        """Count a write and do it: whole, or half of it before the act."""
        if not self.is_due("write"):
            return write(data)
        view = memoryview(data).cast("B")
        write(view[: len(view) // 2])
        self._act()
        return len(view) // 2


@contextmanager
def operations(under: Path, at: int, act: Callable[[], None], *, lasting: Collection[str] = ()) -> Iterator[Counted]:
    """A block whose operations on files below a folder are counted, and that acts at one of them.

    Args:
        under: the folder.
        at: which operation, from 1; 0 only counts.
        act: raises, as `refusing` does, or ends the process.
        lasting: operations by name, as in `Counted.names`, at which it acts ever after.
    """
    counted = Counted(under, at, act, lasting)

    class File(io.FileIO):
        def write(self, data: Any) -> int:
            return counted.write(data, super().write)

        def readinto(self, buffer: Any) -> int:
            counted.note("read")
            return super().readinto(buffer) or 0

        def readall(self) -> bytes:
            counted.note("read")
            return super().readall()

    def opened(file: Any, mode: str = "r", buffering: int = -1, *arguments: Any, **options: Any) -> Any:
        if not counted.concerns(file):
            return _OPEN(file, mode, buffering, *arguments, **options)
        if not isinstance(file, int):  # which is open already
            counted.note("open")
        return _buffered(File, file, mode, buffering, *arguments, **options)

    with ExitStack() as patches:
        for name in _BY_PATH:
            patches.enter_context(mock.patch.object(os, name, _by_path(counted, name)))
        for name in _BY_HANDLE:
            patches.enter_context(mock.patch.object(os, name, _by_handle(counted, name)))
        patches.enter_context(mock.patch.object(io, "open", opened))
        patches.enter_context(mock.patch.object(builtins, "open", opened))
        yield counted


def refusing(number: int) -> Callable[[], None]:
    """An act that raises an OSError of this number, `errno.ENOSPC` for example."""

    def act() -> None:
        raise OSError(number, os.strerror(number))

    return act


def _buffered(
    file_type: type[io.FileIO],
    file: Any,
    mode: str,
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    """What `open` builds upon a raw file."""
    raw = file_type(file, mode.replace("b", "").replace("t", ""), closefd, opener)
    if buffering == 0:
        return raw
    if "+" in mode:
        buffered: Any = io.BufferedRandom(raw)
    else:
        buffered = io.BufferedReader(raw) if "r" in mode else io.BufferedWriter(raw)
    return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)


def _by_path(counted: Counted, name: str) -> Callable[..., Any]:
    original = getattr(os, name)

    def counting(path: Any, *arguments: Any, **options: Any) -> Any:
        folder = options.get("dir_fd")
        place = path if folder is None else os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))
        if counted.concerns(place):
            counted.note(name)
        return original(path, *arguments, **options)

    return counting


def _by_handle(counted: Counted, name: str) -> Callable[..., Any]:
    original = getattr(os, name)

    def counting(handle: int, *arguments: Any) -> Any:
        if counted.concerns(handle):
            counted.note(name)
        return original(handle, *arguments)

    return counting
