"""IDX files: a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each plain or gzipped.

A file is two zero bytes, the type (8 for uint8), the number of axes, each axis as a big-endian 32-bit number,
then the numbers. Source: Y. LeCun, C. Cortes, C. Burges, the MNIST database, section "file formats".
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sparring.data.faults import Faults, first_line
from sparring.data.sources.arrays import split_of_arrays
from sparring.data.sources.base import Pixels as Bytes
from sparring.data.sources.base import Raw, Split, split_in, visible

_NAME = re.compile(r"(images|labels)[-.]idx[13]-ubyte(\.gz)?$")


def has_idx(path: Path) -> bool:
    """Whether IDX files lie in a folder."""
    return path.is_dir() and any(_NAME.search(child.name) for child in path.iterdir())


def read_idx(path: Path, faults: Faults) -> Raw:
    """Open a folder of IDX files; a plain file is preferred over its gzipped twin."""
    found: dict[str, dict[str, Path]] = {}
    for name, what, file in _named(path):
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
        pixels = None if images is None else images[:, None]
        if images is not None or labels is not None:
            splits[name] = split_of_arrays(name, pixels, labels, faults)
    return Raw("IDX", labelled, splits)


def _named(path: Path) -> Iterator[tuple[str, str, Path]]:
    for file in visible(path.iterdir(), path):
        match = _NAME.search(file.name)
        if match:
            yield split_in(file.name), match[1], file


def _read(path: Path, faults: Faults, *, axes: int) -> Bytes | None:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        faults.add("unreadable files", f"{path.name}: cannot be read ({first_line(error)})")
        return None
    if len(content) < 4 or content[:2] != b"\0\0":
        faults.add("unreadable files", f"{path.name}: not an IDX file")
        return None
    if content[2] != 8 or content[3] != axes:
        kind = f"type {content[2]:#04x} with {content[3]} axes"
        faults.add("wrong types", f"{path.name}: {kind}, where type 0x08 (uint8) with {axes} is needed")
        return None
    header = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", content[4:header]) if len(content) >= header else ()
    if len(content) - header != math.prod(shape):
        faults.add("unreadable files", f"{path.name}: {len(content):,} bytes do not hold an array of shape {shape}")
        return None
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
