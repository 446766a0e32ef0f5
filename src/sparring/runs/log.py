"""The log of a run: metrics.jsonl, one row a line in the order of the steps, and TensorBoard events beside it.

A last line without its end is no row: a kill cut it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sparring.core.errors import CorruptInput
from sparring.core.files import json_mapping, read_file, storage_errors, sync

RowWriter = Callable[[dict[str, Any]], None]


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add one row.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors(path), open(path, "ab") as file:
        file.write((json.dumps(row, allow_nan=False) + "\n").encode())


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All complete rows, oldest first; none without a file.

    Raises:
        CorruptInput: a row is damaged or out of order; the message names the line.
        StorageError: the file cannot be read.
    """
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(read_file(path).split(b"\n")[:-1], 1):
        row = json_mapping(line, f"{path}, line {number}")
        step = row.get("step")
        if type(step) is not int or step < (rows[-1]["step"] if rows else 1):
            raise CorruptInput(f"{path}, line {number}: its step is {step!r}, out of order", "restore the file")
        rows.append(row)
    return rows


def synced_content(path: Path) -> bytes:
    """Flush the log to the disk; its bytes.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors(path):
        sync(path)
        return path.read_bytes()


def require_start(path: Path, length: int, sha256: str) -> None:
    """Check that the log still begins with so many bytes of this hash.

    Raises:
        CorruptInput: it is missing, shorter, or was changed.
        StorageError: it cannot be read.
    """
    content = read_file(path)[:length]
    if len(content) < length:
        raise CorruptInput(f"{path}: {len(content):,} bytes, where {length:,} were written", "restore the file")
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CorruptInput(f"{path}: changed since the checkpoint was saved", "restore the file, or the checkpoint")


def truncate(path: Path, length: int) -> None:
    """Drop the rows behind so many bytes.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors(path), open(path, "ab") as file:
        os.ftruncate(file.fileno(), length)


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
                if each is None:
                    continue  # of a game that has diverged
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
