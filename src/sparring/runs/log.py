"""The log of a run on disk: metrics.jsonl, one row a line in the order of the steps.

A last line without its end is no row: a kill cut it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from sparring.core.errors import CorruptInput
from sparring.core.files import json_mapping, read_file, storage_errors, sync


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
