"""The files of a store, hashed as they are written and flushed to the disk."""

from __future__ import annotations

import hashlib
import os
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.data.manifest import FileFacts


class ArrayFile:
    """A `.npy` file written front to back.

    Args:
        path: of the file; its folder exists.
        rows: how many will be appended; the first ones say of which type and shape all are.
    """

    def __init__(self, path: Path, rows: int) -> None:
        # Written, not mapped: on a full disk a write raises, a mapped page kills the process.
        self._file = path.open("wb", buffering=1 << 20)
        self._rows = rows
        self._hash = hashlib.sha256()
        self._bytes = 0

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write some rows."""
        if self._bytes == 0:
            descr, shape = np.lib.format.dtype_to_descr(rows.dtype), (self._rows, *rows.shape[1:])
            header = BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
            self._write(header.getvalue())
        self._write(rows.tobytes())

    def close(self) -> FileFacts:
        """Sync the file and say what was written."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return FileFacts(bytes=self._bytes, sha256=self._hash.hexdigest())

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._hash.update(content)
        self._bytes += len(content)
