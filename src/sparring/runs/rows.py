"""metrics.jsonl: one row a line, the rounds in order; a line that a killed process left half-written is no row."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sparring.core.errors import CorruptInput, printable
from sparring.core.files import storage_errors
from sparring.core.strict import mapping_in, read_plain

_LARGEST, _LARGEST_ROW = 1 << 30, 16 << 20


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
        CorruptInput: a row is damaged, or out of order; names the line.
        StorageError: the file cannot be read.
    """
    if not os.path.lexists(path):
        return []
    with storage_errors(path):
        lines = read_plain(path, _LARGEST).split(b"\n")[:-1]
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        what = f"{path}, line {number}"
        if len(line) > _LARGEST_ROW:
            raise CorruptInput(f"{what}: {len(line):,} bytes", "restore the file")
        row = mapping_in(line, what)
        step = row.get("step")
        if type(step) is not int or step < (rows[-1]["step"] if rows else 1):
            raise CorruptInput(f"{what}: its step is {printable(repr(step))}, out of order", "restore the file")
        rows.append(row)
    return rows
