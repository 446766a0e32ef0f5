"""Who follows a run: a progress bar, a worker's parent, or nobody."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Spectator(Protocol):
    """Who follows a run: a progress bar, or nobody."""

    def note(self, text: str) -> None:
        """A line that a user should read."""

    def played(self, done: int, total: int) -> None:
        """`done` of `total` rounds are played; called after every round."""


class Nobody:
    """A spectator who does not look."""

    def note(self, text: str) -> None:
        pass

    def played(self, done: int, total: int) -> None:
        pass
