"""metrics.jsonl: one row a line in the order of the steps. A last line without its end is no row: a kill cut it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from sparring.core.errors import CorruptInput
from sparring.core.files import json_mapping, missing_is_corrupt, storage_errors, sync

_RESTORE = "restore the file"


class LogMark(NamedTuple):
    """What a log held at some moment: its length and the SHA-256 of its bytes."""

    bytes: int
    sha256: str


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
    with storage_errors(path):
        lines = path.read_bytes().split(b"\n")[:-1]
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        row = json_mapping(line, f"{path}, line {number}")
        step = row.get("step")
        if type(step) is not int or step < (rows[-1]["step"] if rows else 1):
            raise CorruptInput(f"{path}, line {number}: its step is {step!r}, out of order", _RESTORE)
        rows.append(row)
    return rows


def mark(path: Path) -> LogMark:
    """Flush the log to the disk; what it holds now.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors(path):
        sync(path)
        content = path.read_bytes()
    return LogMark(len(content), hashlib.sha256(content).hexdigest())


def require_mark(path: Path, marked: LogMark) -> None:
    """Check that the log still begins with what it held at some moment.

    Raises:
        CorruptInput: it is missing, shorter, or was changed.
        StorageError: it cannot be read.
    """
    with storage_errors(path), missing_is_corrupt(), open(path, "rb") as file:
        content = file.read(marked.bytes)
    if len(content) < marked.bytes:
        raise CorruptInput(f"{path}: {len(content):,} bytes, where {marked.bytes:,} were written", _RESTORE)
    if hashlib.sha256(content).hexdigest() != marked.sha256:
        raise CorruptInput(f"{path}: changed since the checkpoint was saved", "restore the file, or the checkpoint")


def truncate(path: Path, length: int) -> None:
    """Drop the rows behind so many bytes.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors(path), open(path, "ab") as file:
        os.ftruncate(file.fileno(), length)
