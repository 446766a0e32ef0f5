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
from sparring.data.sources.base import RawDataset, array_split, split_in
from sparring.data.sources.folders import FolderTree

_NAME = re.compile(r"(?P<what>images|labels)[-.]idx[13]-ubyte(\.gz)?$")
_UINT8 = 8


def has_idx(path: Path) -> bool:
    """Whether IDX files lie in a folder."""
    return path.is_dir() and any(_NAME.search(file.name) for file in path.iterdir())


def read_idx(path: Path, faults: Faults) -> RawDataset:
    """Open a folder of IDX files; a plain file is preferred over its gzipped twin."""
    found: dict[str, dict[str, Path]] = {}
    for name in FolderTree(path, faults).files(lambda name: _NAME.search(name) is not None, nested=False):
        match, split = _NAME.search(name), split_in(name)
        assert match is not None
        if split:
            found.setdefault(split, {}).setdefault(match["what"], path / name)
        else:
            faults.add(f"{name}: train or t10k does not appear in its name")
    labelled = any("labels" in files for files in found.values())
    splits = {}
    for split, files in found.items():
        for what in ("images", "labels") if labelled else ("images",):
            if what not in files:
                faults.add(f"{split}: there is no file of {what}")
        images = _array(files["images"], 3, faults) if "images" in files else None
        labels = _array(files["labels"], 1, faults) if "labels" in files else None
        if images is not None:
            splits[split] = array_split(split, images[:, None], labels, faults)
    return RawDataset("IDX", labelled, splits)


def _array(path: Path, axes: int, faults: Faults) -> npt.NDArray[np.uint8] | None:
    """The numbers of a file, or None if it is at fault."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
        if content[:4] != bytes((0, 0, _UINT8, axes)):
            raise ValueError(f"not an IDX file of uint8 with {axes} axes")
        shape = np.frombuffer(content, ">u4", axes, offset=4).astype(int)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        faults.add(f"{path.name}: cannot be read ({first_line(error)})")
        return None
