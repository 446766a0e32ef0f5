"""IDX files: a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each plain or gzipped.

A file is two zero bytes, the type (8 for uint8), the number of axes, each axis as a big-endian 32-bit number,
then the numbers. Source: Y. LeCun, C. Cortes, C. Burges, the MNIST database, section "file formats".
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import RawDataset, array_dataset, split_in
from sparring.data.sources.image_folders import FolderTree

_NAME = re.compile(r"(?P<what>images|labels)[-.]idx[13]-ubyte(\.gz)?$")
_UINT8 = 8
_AXES = {"images": 3, "labels": 1}


def has_idx(path: Path) -> bool:
    """Whether IDX files lie in a folder."""
    return path.is_dir() and any(_NAME.search(file.name) for file in path.iterdir())


def read_idx(path: Path, faults: Faults) -> RawDataset:
    """Open a folder of IDX files; a plain file is preferred over its gzipped twin."""
    arrays: dict[str, dict[str, npt.NDArray[np.uint8] | None]] = {}
    for name in FolderTree(path, faults).files(lambda name: _NAME.search(name) is not None, nested=False):
        match, split = _NAME.search(name), split_in(name)
        assert match is not None
        what = match["what"]
        if not split:
            faults.add(f"{name}: train or t10k does not appear in its name")
        elif what not in arrays.setdefault(split, {}):
            arrays[split][what] = _array(path / name, _AXES[what], faults)
    return array_dataset("IDX", arrays, faults)


def _array(path: Path, axes: int, faults: Faults) -> npt.NDArray[np.uint8] | None:
    """The numbers of a file, or None if it is at fault."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
        if content[:4] != bytes((0, 0, _UINT8, axes)):
            raise ValueError(f"not an IDX file of uint8 with {axes} axes")
        shape = np.frombuffer(content, ">u4", axes, offset=4).astype(int)
        array = np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
        return array[:, None] if axes == 3 else array
    except (OSError, EOFError, ValueError, zlib.error) as error:
        faults.add(f"{path.name}: cannot be read ({first_line(error)})")
        return None
