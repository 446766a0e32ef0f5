"""What is expensive to compute and the same for every run on the same data: kept in the user's cache folder.

An entry is a checkpoint folder, so that it is complete or absent and every byte is checked when it is read.
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
"""What an entry raises that is damaged, of another version, or not to be read."""


def cache_folder() -> Path:
    """$SPARRING_CACHE, or the user's cache folder."""
    base = os.environ.get("SPARRING_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "sparring"
    )
    return Path(base)


def entry(kind: str, key: str) -> Path:
    """Where the entry of this kind and key lies, if it does."""
    return cache_folder() / kind / hashlib.sha256(key.encode()).hexdigest()[:16]


def remembered(path: Path | None, make: Callable[[], Checkpoint], use: Callable[[Checkpoint], Used]) -> Used:
    """Use the entry at `path`, or make it now and keep it; a damaged one is removed and made again.

    Of processes that make an entry at the same time all use what the first of them kept.

    Args:
        path: of the entry; None keeps nothing.
        make: computes it.
        use: turns it into what is wanted, the same way whether it was kept or made; it raises CorruptInput or KeyError
            about an entry that is not what it should be.
    """
    if path is None:
        return use(make())
    with suppress(*_UNUSABLE):
        return use(read_checkpoint(path))
    shutil.rmtree(path, ignore_errors=True)
    made = make()
    _keep(path, made)
    with suppress(*_UNUSABLE):
        return use(read_checkpoint(path))
    return use(made)


def _keep(path: Path, made: Checkpoint) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(path, made)
    except (OSError, StorageError):
        return  # A cache that cannot be written (a full disk, or another process was first) costs time, not truth.
