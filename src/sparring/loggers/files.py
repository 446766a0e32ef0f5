"""The sinks of every run: metrics.jsonl, and TensorBoard events beside it where the package is installed."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from sparring.core.errors import StorageError
from sparring.core.files import storage_errors
from sparring.loggers.base import LoggedRun, Row, curves
from sparring.runs.folder import RunFolder


class JsonLines:
    """metrics.jsonl, a row a line: the log that reports read and that a resumed run continues.

    Args:
        run: whose log it is.
    """

    def __init__(self, run: LoggedRun) -> None:
        self._folder = RunFolder(run.path)

    def write(self, row: Row) -> None:
        self._folder.append_row(dict(row))

    def close(self) -> None:
        pass  # every row is in the file already


class TensorBoard:
    """Events in the folder `tb` of the run, one curve a game; steps are rounds.

    Events are written synchronously, so that a full disk is an error of the run. TensorBoard drops events of an earlier
    session after the round that this one starts with.

    Args:
        run: whose log it is.

    Raises:
        StorageError: the disk refused.
    """

    def __init__(self, run: LoggedRun) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        now, folder = time.time(), run.path / "tb"
        self._path = folder / f"events.out.tfevents.{now:.6f}.sparring"
        with storage_errors(self._path):
            folder.mkdir(exist_ok=True)
            self._file = self._path.open("wb")
        self._records, self._event = RecordWriter(self._file), Event
        try:
            self._add(Event(wall_time=now, file_version="brain.Event:2"))
            self._add(Event(wall_time=now, step=run.start + 1, session_log=SessionLog(status=SessionLog.START)))
        except StorageError:
            with suppress(OSError):  # closing writes what the disk has just refused
                self._file.close()
            raise

    def write(self, row: Row) -> None:
        from torch.utils.tensorboard.summary import scalar

        for name, value in curves(row).items():
            summary = scalar(name, value)  # type: ignore[no-untyped-call]
            self._add(self._event(wall_time=time.time(), step=row["step"], summary=summary))

    def close(self) -> None:
        with storage_errors(self._path):
            self._file.close()

    def _add(self, event: Any) -> None:
        with storage_errors(self._path):
            self._records.write(event.SerializeToString())
            self._records.flush()
