"""Where the rows of a run's log go: a sink is anything with `write` and `close`.

A package adds one by an entry point of the group `sparring.loggers`: its name, and a callable that takes a `LoggedRun`
and returns a sink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Row = Mapping[str, Any]
"""A row of the log: `step`, `seconds`, and numbers by name; of packed games lists, with None where a game diverged."""


class LogSink(Protocol):
    """A destination of rows."""

    def write(self, row: Row) -> None:
        """Take a row. After a resume, rows of rounds that were trained again come again."""

    def close(self) -> None:
        """The training has ended, or was stopped."""


@dataclass(frozen=True)
class LoggedRun:
    """The run whose rows a sink takes.

    Args:
        path: its folder.
        recipe: as plain values.
        start: the round that this training continues from; 0 for a new run.
        key: the same whenever this run is resumed, and another for any other run.
    """

    path: Path
    recipe: dict[str, Any]
    start: int
    key: str


MakeSink = Callable[[LoggedRun], LogSink]


def curves(row: Row) -> dict[str, float]:
    """The numbers of a row but its step, one for each packed game as `NAME/GAME`; games that diverged have none."""
    numbers: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, list):
            numbers |= {f"{name}/{game}": each for game, each in enumerate(value) if each is not None}
        elif name != "step":
            numbers[name] = value
    return numbers
