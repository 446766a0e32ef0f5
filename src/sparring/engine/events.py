"""TensorBoard events beside the log, where the extra `tensorboard` is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Events(Protocol):
    """Where rows of the log go besides metrics.jsonl."""

    def add(self, row: dict[str, Any]) -> None:
        """Add one row."""

    def close(self) -> None:
        """Flush and close."""


class NoEvents:
    """TensorBoard is not installed."""

    def add(self, row: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


class TensorBoard:
    """Scalars by name, one curve a replica; rows after a resume replace those after the checkpoint.

    Args:
        folder: where the event files go.
        start: the round that the run continues from.
    """

    def __init__(self, folder: Path, start: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=start + 1)

    def add(self, row: dict[str, Any]) -> None:
        for name, value in row.items():
            curves = (
                {f"{name}/{index}": each for index, each in enumerate(value)}
                if isinstance(value, list)
                else {name: value}
            )
            for curve, each in curves.items():
                self._writer.add_scalar(curve, each, row["step"])

    def close(self) -> None:
        self._writer.close()


def events_in(folder: Path, start: int) -> Events:
    """A TensorBoard writer for this folder, or nothing without the extra."""
    if importlib.util.find_spec("tensorboard") is None:
        return NoEvents()
    return TensorBoard(folder, start)
