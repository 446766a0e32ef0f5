"""The files of a store, hashed as they are written and flushed to the disk."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.core.files import sha256
from sparring.data.manifest import LABELS, SAMPLES, FileFacts


class ArrayFile:
    """A `.npy` file written front to back.

    Args:
        path: of the file; its folder exists.
        announced: how many rows to expect; the first ones say of which type and shape all are.

    Attributes:
        rows: how many have been written.
    """

    def __init__(self, path: Path, announced: int) -> None:
        # Written, not mapped: on a full disk a write raises, a mapped page kills the process.
        self._file = path.open("wb", buffering=1 << 20)
        self._path = path
        self._announced = announced
        self._empty: npt.NDArray[Any] = np.empty(0)
        self._hash = hashlib.sha256()
        self._bytes = 0
        self.rows = 0

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write some rows."""
        if self.rows == 0:
            self._empty = rows[:0]
            self._write(_header(self._empty, self._announced))
        self._write(rows.tobytes())
        self.rows += len(rows)

    def close(self) -> FileFacts:
        """Sync the file and say what was written, whether or not it is as many rows as announced."""
        if self.rows != self._announced:
            self._file.seek(0)
            self._file.write(_header(self._empty, self.rows))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        digest = self._hash.hexdigest() if self.rows == self._announced else sha256(self._path)
        return FileFacts(bytes=self._bytes, sha256=digest)

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


class SplitFiles:
    """The files of a split: pixels, and labels where there are any.

    Args:
        folder: is made for them.
        announced: how many samples to expect.
        labelled: whether they have labels.
    """

    def __init__(self, folder: Path, announced: int, *, labelled: bool) -> None:
        folder.mkdir()
        with ExitStack() as opened:
            self._samples = opened.enter_context(ArrayFile(folder / SAMPLES, announced))
            self._labels = opened.enter_context(ArrayFile(folder / LABELS, announced)) if labelled else None
            self._opened = opened.pop_all()

    def append(self, pixels: npt.NDArray[np.uint8], label: int | None) -> None:
        """Write a sample."""
        self._samples.append(pixels[None])
        if self._labels is not None:
            self._labels.append(np.array([label], np.int64))

    def close(self) -> dict[str, FileFacts]:
        """Sync the files and say what was written; nothing if nothing was."""
        files = {SAMPLES: self._samples} | ({LABELS: self._labels} if self._labels else {})
        return {name: file.close() for name, file in files.items() if file.rows}

    def __enter__(self) -> SplitFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()


def _header(like: npt.NDArray[Any], rows: int) -> bytes:
    """The header of so many rows like these; NumPy pads it so that its length does not depend on how many."""
    descr, shape = np.lib.format.dtype_to_descr(like.dtype), (rows, *like.shape[1:])
    stream = BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()
