"""TensorBoard events beside the log, where the extra `tensorboard` is installed."""

from __future__ import annotations

import importlib.util
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sparring.core.files import storage_errors


@runtime_checkable
class Events(Protocol):
    """A writer of log rows besides metrics.jsonl."""

    def add(self, row: dict[str, Any]) -> None:
        """Add one row."""

    def close(self) -> None:
        """Flush and close."""


class NoEvents:
    """The writer without the extra `tensorboard`: writes nothing."""

    def add(self, row: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


class TensorBoard:
    """Scalars by name, one curve a replica, written synchronously, so that a full disk is an error of the run.

    Args:
        folder: of the event files.
        start: the round that the run continues from; TensorBoard drops later events of an earlier session.

    Raises:
        StorageError: the disk refused.
    """

    def __init__(self, folder: Path, start: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        now = time.time()
        self._path = folder / f"events.out.tfevents.{now:.6f}.sparring"
        with storage_errors(self._path):
            folder.mkdir(exist_ok=True)
            self._file = self._path.open("wb")
        self._records = RecordWriter(self._file)
        try:
            self._write(Event(wall_time=now, file_version="brain.Event:2"))
            self._write(Event(wall_time=now, step=start + 1, session_log=SessionLog(status=SessionLog.START)))
        except BaseException:
            with suppress(OSError):  # the first error is raised
                self.close()
            raise

    def add(self, row: dict[str, Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from torch.utils.tensorboard.summary import scalar

        for name, value in row.items():
            values = value if isinstance(value, list) else [value]
            for index, each in enumerate(values):
                curve = f"{name}/{index}" if isinstance(value, list) else name
                drawn = scalar(curve, each)  # type: ignore[no-untyped-call]
                self._write(Event(wall_time=time.time(), step=row["step"], summary=drawn))

    def close(self) -> None:
        with storage_errors(self._path):
            self._file.close()

    def _write(self, event: Any) -> None:
        with storage_errors(self._path):
            self._records.write(event.SerializeToString())
            self._records.flush()


def events_in(folder: Path, start: int) -> Events:
    """A TensorBoard writer for this folder, or `NoEvents` without the extra."""
    if importlib.util.find_spec("tensorboard") is None:
        return NoEvents()
    return TensorBoard(folder, start)
