"""Progress of whatever takes long: one interface for the library, sweeps and the command line."""

from __future__ import annotations


class Progress:
    """Shows nothing. Override what is to be shown."""

    def note(self, text: str) -> None:
        """A remark for the user."""

    def advance(self, done: int, total: int) -> None:
        """`done` of `total` are complete: rounds, images or threats."""


SILENT = Progress()
