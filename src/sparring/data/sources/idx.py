"""IDX files: a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each plain or gzipped.

A file is two zero bytes, the type (8 for uint8), the number of axes, each axis as a big-endian 32-bit number,
then the numbers. Source: Y. LeCun, C. Cortes, C. Burges, the MNIST database, section "file formats".
"""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from sparring.data.faults import Faults, first_line
from sparring.data.npy import Header
from sparring.data.opening import opened
from sparring.data.sources.base import Raw, Split, split_in
from sparring.data.sources.rows import Rows, split_of_rows
from sparring.data.sources.tree import Tree

_NAME = re.compile(r"(images|labels)[-.]idx[13]-ubyte(\.gz)?$")


def has_idx(path: Path) -> bool:
    """Whether IDX files lie in a folder."""
    faults = Faults()
    return path.is_dir() and (any(Tree(path, faults).files(_fits, nested=False)) or len(faults) > 0)


def read_idx(path: Path, faults: Faults) -> Raw:
    """Open a folder of IDX files; a plain file is preferred over its gzipped twin."""
    found: dict[str, dict[str, Path]] = {}
    for name, what, file in _named(path, faults):
        if not name:
            faults.add("files without a split", f"{file.name}: train or t10k does not appear in its name")
            continue
        first = found.setdefault(name, {}).setdefault(what, file)
        if file.name not in (first.name, first.name + ".gz"):
            faults.add("doubtful files", f"{file.name}: {first.name} holds the {what} of {name} already")
    labelled = any("labels" in files for files in found.values())
    splits: dict[str, Split] = {}
    for name, files in found.items():
        read = {what: _read(file, faults, axes=3 if what == "images" else 1) for what, file in files.items()}
        for what in ("images", "labels") if labelled else ("images",):
            if what not in files:
                faults.add("missing files", f"{name}: there is no file of {what}")
        images, labels = read.get("images"), read.get("labels")
        pixels = None if images is None else images.each(lambda block: block[:, None])
        if images is not None or labels is not None:
            splits[name] = split_of_rows(name, pixels, labels, faults)
    return Raw("IDX", labelled, splits)


def _named(path: Path, faults: Faults) -> Iterator[tuple[str, str, Path]]:
    for name in Tree(path, faults).files(_fits, nested=False):
        match = _NAME.search(name)
        if match:
            yield split_in(name), match[1], path / name


def _fits(name: str) -> bool:
    return _NAME.search(name) is not None


def _read(path: Path, faults: Faults, *, axes: int) -> Rows | None:
    try:
        with _stream(path) as stream:
            start = stream.read(4 + 4 * axes)
        if start[:2] != b"\0\0" or len(start) < 4:
            raise ValueError("not an IDX file")
        if start[2] != 8 or start[3] != axes:
            kind = f"type {start[2]:#04x} with {start[3]} axes"
            faults.add("wrong types", f"{path.name}: {kind}, where type 0x08 (uint8) with {axes} is needed")
            return None
        header = Header(np.dtype(np.uint8), struct.unpack(f">{axes}I", start[4:]), len(start))
        if 0 in header.shape[1:]:
            raise ValueError(f"an array of shape {header.shape}")
        rows = Rows.behind(header, partial(_stream, path), path.stat().st_size)
        for _ in rows.blocks():
            pass
        return rows
    except Exception as error:  # the readers of gzip and of the header raise almost anything on a damaged file
        faults.add("unreadable files", f"{path.name}: cannot be read ({first_line(error)})")
        return None


@contextmanager
def _stream(path: Path) -> Iterator[BufferedIOBase]:
    with opened(path) as file:
        if path.suffix != ".gz":
            yield file
        else:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
