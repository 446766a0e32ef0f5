"""The files of a store, written front to back and flushed to the disk."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.core.files import sha256
from sparring.data.manifest import LABELS, SAMPLES, StoredFile


class ArrayFile:
    """A `.npy` file of as many rows as are appended; the first ones say of which type and shape all are.

    Args:
        path: of the file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        # Written, not mapped: on a full disk a write raises, a mapped page kills the process.
        self.file = path.open("wb", buffering=1 << 20)
        self._path = path
        self._like: npt.NDArray[Any] | None = None
        self._rows = 0

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write some rows."""
        if self._like is None:
            self._like = rows[:0]
            self._write_header(self._like)
        self.file.write(rows.tobytes())
        self._rows += len(rows)

    def finish(self) -> StoredFile:
        """Put the number of rows into the header, sync the file and hash it."""
        if self._like is not None:
            self.file.seek(0)
            self._write_header(self._like)
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        return StoredFile(bytes=self._path.stat().st_size, sha256=sha256(self._path))

    def _write_header(self, like: npt.NDArray[Any]) -> None:
        """NumPy pads the header so that its length does not depend on the number of rows."""
        header = {
            "descr": np.lib.format.dtype_to_descr(like.dtype),
            "fortran_order": False,
            "shape": (self._rows, *like.shape[1:]),
        }
        np.lib.format.write_array_header_1_0(self.file, header)


class SplitFiles:
    """The files of a split: pixels, and labels where there are any. Closed at the end of a `with` block.

    Args:
        folder: is made for them.
        labelled: whether the samples have labels.
    """

    def __init__(self, folder: Path, *, labelled: bool) -> None:
        folder.mkdir()
        self._arrays: dict[str, ArrayFile] = {}
        with ExitStack() as opened:
            for name in (SAMPLES, LABELS) if labelled else (SAMPLES,):
                self._arrays[name] = ArrayFile(folder / name)
                opened.enter_context(self._arrays[name].file)
            self._opened = opened.pop_all()

    def append(self, pixels: npt.NDArray[np.uint8], label: int | None) -> None:
        """Write a sample."""
        self._arrays[SAMPLES].append(pixels[None])
        if label is not None:
            self._arrays[LABELS].append(np.array([label], np.int64))

    def finish(self) -> dict[str, StoredFile]:
        """Sync the files; their sizes and hashes by name."""
        return {name: array.finish() for name, array in self._arrays.items()}

    def __enter__(self) -> SplitFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
