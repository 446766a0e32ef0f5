"""TensorBoard events beside the log, where the extra `tensorboard` is installed."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sparring.core.files import storage_errors

RowWriter = Callable[[dict[str, Any]], None]


@contextmanager
def event_writer(folder: Path, start: int) -> Iterator[RowWriter]:
    """A function that writes a row of the log as scalars, one curve a replica; without the extra it writes nothing.

    Events are written synchronously, so that a full disk is an error of the run.

    Args:
        folder: of the event files.
        start: the round that the run continues from; TensorBoard drops later events of an earlier session.

    Raises:
        StorageError: the disk refused.
    """
    if importlib.util.find_spec("tensorboard") is None:
        yield lambda _row: None
        return
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.summary.writer.record_writer import RecordWriter
    from torch.utils.tensorboard.summary import scalar

    now = time.time()
    path = folder / f"events.out.tfevents.{now:.6f}.sparring"
    with storage_errors(path):
        folder.mkdir(exist_ok=True)
        file = path.open("wb")
    records = RecordWriter(file)

    def write(event: Any) -> None:
        with storage_errors(path):
            records.write(event.SerializeToString())
            records.flush()

    def write_row(row: dict[str, Any]) -> None:
        for name, value in row.items():
            values = value if isinstance(value, list) else [value]
            for index, each in enumerate(values):
                curve = f"{name}/{index}" if isinstance(value, list) else name
                summary = scalar(curve, each)  # type: ignore[no-untyped-call]
                write(Event(wall_time=time.time(), step=row["step"], summary=summary))

    try:
        write(Event(wall_time=now, file_version="brain.Event:2"))
        write(Event(wall_time=now, step=start + 1, session_log=SessionLog(status=SessionLog.START)))
        yield write_row
    finally:
        with storage_errors(path):
            file.close()
