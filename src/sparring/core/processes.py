"""Which of the processes that `torchrun` started this is, as it tells them in their environment."""

from __future__ import annotations

import os


def rank() -> int:
    """This process's number among them, from 0; 0 without `torchrun`."""
    return int(os.environ.get("RANK", "0"))


def count() -> int:
    """How many there are; 1 without `torchrun`."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """This process's number on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_count() -> int:
    """How many there are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
