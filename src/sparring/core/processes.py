"""The rank of this process among those that `torchrun` started, from its environment. Does not import torch."""

from __future__ import annotations

import os


def rank() -> int:
    """The rank of this process, from 0; 0 without `torchrun`."""
    return int(os.environ.get("RANK", "0"))


def count() -> int:
    """The number of processes; 1 without `torchrun`."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """The rank of this process on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def local_count() -> int:
    """The number of processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
