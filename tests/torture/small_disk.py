"""A file system of a few kilobytes: a tmpfs in a mount namespace of a child process, which nobody else sees."""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from pathlib import Path

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_REMOUNT, _RECURSIVE, _PRIVATE = 32, 16384, 1 << 18


def on_small_disk(folder: Path, size: int, work: Callable[[Callable[[int], None]], None]) -> None:
    """Do something in a child process in which a folder is a file system of its own.

    Args:
        folder: an empty one.
        size: in bytes, of which whole pages count.
        work: what is done, given a function that gives the file system another size.

    Raises:
        OSError: the machine refuses to mount.
        AssertionError: the work failed; says how.
    """
    context = multiprocessing.get_context("fork")
    failures: SimpleQueue[Exception | str] = context.SimpleQueue()

    def child() -> None:
        try:
            _isolate()
            _mount("none", folder, f"size={size}")
        except OSError as error:
            failures.put(error)
            return
        try:
            work(lambda size: _mount("none", folder, f"size={size}", _REMOUNT))
        except BaseException:
            failures.put(traceback.format_exc())

    process = context.Process(target=child)
    process.start()
    process.join()
    if not failures.empty():
        failure = failures.get()
        raise failure if isinstance(failure, OSError) else AssertionError(failure)
    assert process.exitcode == 0, f"the child ended with {process.exitcode}"


@functools.cache
def can_mount() -> bool:
    """Whether this machine lets us have a file system of our own."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            on_small_disk(Path(folder), 1 << 16, lambda _resize: None)
        except OSError:
            return False
    return True


def _isolate() -> None:
    """Give this process mounts of its own; as a user who may not mount, also a user namespace in which it may."""
    user, group = os.getuid(), os.getgid()
    _call("unshare", _NEW_MOUNTS | (_NEW_USER if user else 0))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _call("mount", b"none", b"/", None, _RECURSIVE | _PRIVATE, None)


def _mount(source: str, folder: Path, options: str, flags: int = 0) -> None:
    _call("mount", source.encode(), os.fsencode(folder), b"tmpfs", flags, options.encode())


def _call(name: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
