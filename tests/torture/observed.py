"""What Python itself tells of a piece of work, by its audit hooks: what it runs, whom it calls, where it writes."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import CodeType
from typing import Any

MARK = "cAnArY"
"""Stands in every text that must not become code."""
_NEVER = (
    "pickle.",
    "marshal.load",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.",
    "socket.",
    "pty.",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def offences(work: Callable[[], None], may_write: Sequence[Path]) -> list[str]:
    """Every event of a piece of work, done in a child process, that data of a stranger must not lead to.

    Args:
        work: what is done; once before it is observed, so that what is imported is imported.
        may_write: folders that it may write below.
    """
    context = multiprocessing.get_context("fork")
    told: SimpleQueue[list[str]] = context.SimpleQueue()

    def child() -> None:
        found: list[str] = []
        try:
            _observe(work, [str(folder.resolve()) for folder in may_write], found)
        except BaseException:
            found.append(traceback.format_exc())
        told.put(found)

    process = context.Process(target=child)
    process.start()
    found = told.get()
    process.join()
    return found


def _observe(work: Callable[[], None], may_write: list[str], found: list[str]) -> None:
    at_work = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not at_work:
            return
        if (
            event.startswith(_NEVER)
            or (event in ("exec", "compile") and _runs_data(arguments))
            or (event == "open" and _writes_elsewhere(arguments, may_write))
        ):
            found.append(f"{event} {str(arguments)[:200]}")

    work()
    sys.addaudithook(hook)
    at_work = True
    work()
    at_work = False


def _runs_data(arguments: tuple[Any, ...]) -> bool:
    """Whether code, compiled or as text, holds the mark."""
    return any(MARK in _text(part) for part in arguments)


def _text(part: Any) -> str:
    if isinstance(part, CodeType):
        return " ".join([part.co_filename, *map(_text, part.co_consts), *part.co_names])
    return part.decode(errors="replace") if isinstance(part, bytes) else str(part)


def _writes_elsewhere(arguments: tuple[Any, ...], may_write: list[str]) -> bool:
    path, _mode, flags = arguments
    if not isinstance(path, str | bytes) or not (isinstance(flags, int) and flags & _WRITING):
        return False
    place = os.path.realpath(os.fsdecode(path))
    return place != os.devnull and not any(place.startswith(folder + os.sep) for folder in may_write)
