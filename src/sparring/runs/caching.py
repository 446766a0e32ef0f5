"""The user's cache folder: results that are expensive to compute and the same for every run on the same data.

An entry is a checkpoint folder, so it is complete or absent, and every byte is checked when it is read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from sparring.core.errors import CorruptInput, StorageError
from sparring.runs.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

Used = TypeVar("Used")

_UNUSABLE = (CorruptInput, StorageError, KeyError)
"""Raised by entries that are damaged, of another version, or unreadable."""


def cache_folder() -> Path:
    """$SPARRING_CACHE, or the user's cache folder."""
    base = os.environ.get("SPARRING_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "sparring"
    )
    return Path(base)


def entry(kind: str, key: str) -> Path:
    """The path of the entry of this kind and key."""
    return cache_folder() / kind / hashlib.sha256(key.encode()).hexdigest()[:16]


def cached(path: Path | None, make: Callable[[], Checkpoint], use: Callable[[Checkpoint], Used]) -> Used:
    """Use the entry at `path`, or make and keep it; a damaged one is removed and made again.

    If several processes make an entry at the same time, all use the one that was kept first.

    Args:
        path: of the entry; None keeps nothing.
        make: computes it.
        use: turns it into the result; raises CorruptInput or KeyError for an entry of other content.
    """
    if path is None:
        return use(make())
    with suppress(*_UNUSABLE):
        return use(read_checkpoint(path))
    shutil.rmtree(path, ignore_errors=True)
    made = make()
    # A cache that cannot be written (a full disk, or another process was first) costs time only.
    with suppress(OSError, StorageError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(path, made)
    with suppress(*_UNUSABLE):
        return use(read_checkpoint(path))
    return use(made)
