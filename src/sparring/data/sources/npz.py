"""Arrays: `.npz` files and the built-in digits.

A file holds images under `x`, `images` or `samples` and labels under `y` or `labels`, or both splits as
`x_train`, `y_train`, `x_test`, `y_test`. Images are N x H x W, N x H x W x C or N x C x H x W, with C 1 or 3.
The type says the scale: uint8 is 0 to 255; floats are k/255, or 2k/255 - 1 if any is negative, and are taken
only where every value is such a number, so that nothing is lost or guessed. Every other type is refused, and so are
objects, which only a pickle holds.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from sparring.data.digits import LEVELS, TRAIN, load_digits
from sparring.data.faults import Faults, first_line
from sparring.data.npy import read_header
from sparring.data.opening import opened
from sparring.data.sources.base import SPLITS, Raw
from sparring.data.sources.rows import Numbers, Rows, split_of_rows

_IMAGES = ("x", "images", "image", "samples")
_LABELS = ("y", "labels", "label")
_KEY = re.compile(rf"(?P<what>{'|'.join(_IMAGES + _LABELS)})(_(?P<split>{'|'.join(SPLITS)}))?", re.IGNORECASE)
_CHANNELS = (1, 3)
_LEVELS: dict[str, Callable[[Numbers], Numbers]] = {
    "k/255": lambda block: block * 255.0,
    "2k/255 - 1": lambda block: (block + 1) * 127.5,
}
_SCALES = tuple(_LEVELS)
_TOLERANCE = 1e-3  # in units of 1/255: fp32 rounds by 2e-5, half precision by too much to tell

_MEMBERS = 64
_MEMBER = b"PK\1\2"
"""What every entry of an archive's table begins with."""
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


def read_npz(path: Path, faults: Faults) -> Raw:
    """Open a `.npz` file."""
    found = _members(path, faults)
    labelled = any("labels" in arrays for arrays in found.values())
    splits = {}
    for name, arrays in found.items():
        for what in ("images", "labels") if labelled else ("images",):
            if what not in arrays:
                faults.add("missing arrays", f"{name}: there are no {what}")
        images = _images(name, arrays.get("images"), faults)
        labels = _labels(name, arrays.get("labels"), faults)
        if images is not None or labels is not None:
            splits[name] = split_of_rows(name, images, labels, faults)
    return Raw("npz", labelled, splits)


def read_digits(faults: Faults) -> Raw:
    """The built-in digits, their 17 levels spread over 0 to 255 and rounded."""
    samples, labels = load_digits()
    pixels = np.rint(samples * (255 / LEVELS)).astype(np.uint8)
    parts = {"train": slice(TRAIN), "test": slice(TRAIN, None)}
    splits = {
        name: split_of_rows(name, Rows.of(pixels[part]), Rows.of(labels[part]), faults) for name, part in parts.items()
    }
    return Raw("built-in digits", True, splits, tuple(map(str, range(10))))


def _members(path: Path, faults: Faults) -> dict[str, dict[str, Rows | None]]:
    found: dict[str, dict[str, Rows | None]] = {}
    for member in _table(path, faults):
        key = member.filename.removesuffix(".npy")
        match = _KEY.fullmatch(key)
        if not match:
            faults.add("unknown arrays", f"{key}: not a name such as x, y, x_train, y_train")
            continue
        what = "images" if match["what"].lower() in _IMAGES else "labels"
        arrays = found.setdefault(SPLITS[(match["split"] or "train").lower()], {})
        if what in arrays:
            faults.add("doubtful arrays", f"{key}: another array holds the {what} of the same split")
        arrays[what] = _member(path, member, faults)
    return found


def _table(path: Path, faults: Faults) -> list[zipfile.ZipInfo]:
    """What an archive says that it holds; the table is not read before it is known to be short."""
    try:
        with opened(path) as file:
            if _count(file, _MEMBER) > _MEMBERS:
                faults.add("unreadable files", f"{path.name}: more than {_MEMBERS} arrays")
                return []
            with zipfile.ZipFile(file) as archive:
                return archive.infolist()
    except Exception as error:  # the reader of archives raises almost anything on a damaged one
        faults.add("unreadable files", f"{path.name}: damaged, or not a .npz file ({first_line(error)})")
        return []


def _count(file: BufferedIOBase, what: bytes) -> int:
    found = 0
    while block := file.read(2**20):
        found += block.count(what)
    file.seek(0)
    return found


def _member(path: Path, member: zipfile.ZipInfo, faults: Faults) -> Rows | None:
    try:
        if member.flag_bits & _ENCRYPTED:
            raise ValueError("encrypted")
        if member.compress_type not in _COMPRESSIONS:
            raise ValueError(f"compressed by method {member.compress_type}; save it with numpy.savez_compressed")
        with _stream(path, member) as stream:
            header = read_header(stream)
        return Rows.behind(header, partial(_stream, path, member), member.compress_size)
    except Exception as error:  # as above
        faults.add("unreadable arrays", f"{member.filename.removesuffix('.npy')}: cannot be read ({first_line(error)})")
        return None


@contextmanager
def _stream(path: Path, member: zipfile.ZipInfo) -> Iterator[BufferedIOBase]:
    with opened(path) as file, zipfile.ZipFile(file) as archive, archive.open(member) as stream:
        assert isinstance(stream, BufferedIOBase)  # as the annotations of zipfile do not say
        yield stream


def _images(name: str, rows: Rows | None, faults: Faults) -> Rows | None:
    if rows is None:
        return None
    arranged = _arranged(rows)
    if arranged is None:
        wanted = "N x H x W, N x H x W x C or N x C x H x W with C = 1 or 3"
        faults.add("wrong shapes", f"{name}: images of shape {rows.shape}, where {wanted} is needed")
    scaled = _scaled(name, rows if arranged is None else arranged, faults)
    return None if arranged is None else scaled


def _arranged(rows: Rows) -> Rows | None:
    if 0 in rows.shape[1:]:
        return None
    if len(rows.shape) == 3:
        return rows.each(lambda block: block[:, None])
    if len(rows.shape) != 4 or (rows.shape[1] in _CHANNELS) == (rows.shape[3] in _CHANNELS):
        return None
    return rows if rows.shape[1] in _CHANNELS else rows.each(lambda block: block.transpose(0, 3, 1, 2))


def _scaled(name: str, rows: Rows, faults: Faults) -> Rows | None:
    """The bytes that the numbers stand for, once all have been read."""
    if rows.dtype != np.uint8 and not np.issubdtype(rows.dtype, np.floating):
        faults.add("wrong types", f"{name}: images of type {rows.dtype}, where uint8 is needed")
        return None
    values = _Values()
    try:
        for block in rows.blocks():
            if rows.dtype != np.uint8:
                with np.errstate(all="ignore"):
                    values.add(block)
    except Exception as error:  # as above
        faults.add("unreadable arrays", f"{name}: the images cannot be read ({first_line(error)})")
        return None
    if rows.dtype == np.uint8:
        return rows
    if not (values.low >= -1 and values.high <= 1):
        told = f"values from {values.low:g} to {values.high:g}, outside of [0, 1] and [-1, 1]"
        faults.add("values out of range", f"{name}: {told}")
        return None
    scale = _SCALES[values.low < 0]
    if values.inexact[scale]:
        told = f"{values.inexact[scale]:,} values of type {rows.dtype} are not {scale}; round to uint8"
        faults.add("wrong types", f"{name}: {told}")
        return None
    return rows.each(lambda block: np.rint(_LEVELS[scale](block)).astype(np.uint8))


class _Values:
    """What is needed to tell the scale of floats: their range, and how many are no byte in either scale."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self.inexact = dict.fromkeys(_SCALES, 0)

    def add(self, block: Numbers) -> None:
        self.low = float(np.minimum(self.low, block.min()))  # NaN stays
        self.high = float(np.maximum(self.high, block.max()))
        for scale, levels in _LEVELS.items():
            found = levels(block)
            self.inexact[scale] += int((np.abs(found - np.rint(found)) > _TOLERANCE).sum())


def _labels(name: str, rows: Rows | None, faults: Faults) -> Rows | None:
    if rows is None:
        return None
    if len(rows.shape) != 1 or rows.dtype.kind not in "iu":
        faults.add("labels", f"{name}: labels of type {rows.dtype} and shape {rows.shape}, not whole numbers (N)")
        return None
    try:
        for _ in rows.blocks():
            pass
    except Exception as error:  # as above
        faults.add("unreadable arrays", f"{name}: the labels cannot be read ({first_line(error)})")
        return None
    return rows
