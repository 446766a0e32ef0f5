"""This process: its rank among those of `torchrun`, and the progress that it shows. Does not import torch."""

from __future__ import annotations

import os


def rank() -> int:
    """The rank of this process, from 0; 0 without `torchrun`."""
    return int(os.environ.get("RANK") or 0) if process_count() > 1 else 0


def process_count() -> int:
    """The number of processes; 1 without `torchrun`."""
    return int(os.environ.get("WORLD_SIZE") or 1)


class Progress:
    """Progress of whatever takes long; shows nothing. Override what is to be shown."""

    def note(self, text: str) -> None:
        """A remark for the user."""

    def advance(self, done: int, total: int) -> None:
        """`done` of `total` are complete: rounds, images or threats."""

    def part(self, _what: str) -> Progress:
        """Progress of a part that counts something of its own, such as a preparation; shows nothing by default.

        Args:
            what: the part does.
        """
        return SILENT


SILENT = Progress()
