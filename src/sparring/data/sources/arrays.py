"""Arrays: `.npz` files and the built-in digits.

A file holds images under `x`, `images` or `samples` and labels under `y` or `labels`, or both splits as
`x_train`, `y_train`, `x_test`, `y_test`. Images are N x H x W, N x H x W x C or N x C x H x W, with C 1 or 3.
The type says the scale: uint8 is 0 to 255; floats are k/255, or 2k/255 - 1 if any is negative, and are taken
only where every value is such a number, so that nothing is lost or guessed. Every other type is refused.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.data.digits import LEVELS, TRAIN, load_digits
from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import SPLITS, Example, Pixels, Raw, Split

Numbers = npt.NDArray[Any]

_IMAGES = ("x", "images", "image", "samples")
_LABELS = ("y", "labels", "label")
_KEY = re.compile(rf"(?P<what>{'|'.join(_IMAGES + _LABELS)})(_(?P<split>{'|'.join(SPLITS)}))?", re.IGNORECASE)
_CHANNELS = (1, 3)
_TOLERANCE = 1e-3  # in units of 1/255: fp32 rounds by 2e-5, half precision by too much to tell


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
        labels = _whole(name, arrays.get("labels"), faults)
        if images is not None or labels is not None:
            splits[name] = split_of_arrays(name, images, labels, faults)
    return Raw("npz", labelled, splits)


def read_digits(faults: Faults) -> Raw:
    """The built-in digits, their 17 levels spread over 0 to 255 and rounded."""
    samples, labels = load_digits()
    pixels = np.rint(samples * (255 / LEVELS)).astype(np.uint8)
    return Raw(
        "built-in digits",
        True,
        {
            "train": split_of_arrays("train", pixels[:TRAIN], labels[:TRAIN], faults),
            "test": split_of_arrays("test", pixels[TRAIN:], labels[TRAIN:], faults),
        },
        tuple(map(str, range(10))),
    )


def split_of_arrays(name: str, images: Pixels | None, labels: Numbers | None, faults: Faults) -> Split:
    """A split from arrays.

    Args:
        name: of the split.
        images: uint8 `(n, channels, height, width)`; None if a fault of theirs has been told.
        labels: whole numbers `(n)`, or None.
        faults: unlike lengths are added.
    """
    counts = [len(array) for array in (images, labels) if array is not None]
    if len(set(counts)) > 1:
        faults.add("labels", f"{name}: {counts[0]:,} images, but {counts[1]:,} labels")

    def pixels_at(index: int) -> Pixels | None:
        return images[index] if images is not None and index < len(images) else None

    def examples() -> Iterator[Example]:
        for index in range(max(counts, default=0)):
            label = int(labels[index]) if labels is not None and index < len(labels) else None
            yield Example(f"{name}[{index}]", partial(pixels_at, index), label)

    return Split(max(counts, default=0), examples)


def _members(path: Path, faults: Faults) -> dict[str, dict[str, Numbers | None]]:
    found: dict[str, dict[str, Numbers | None]] = {}
    if not zipfile.is_zipfile(path):
        faults.add("unreadable files", f"{path.name}: damaged, or not a .npz file")
        return found
    with np.load(path, allow_pickle=False) as file:
        for key in file.files:
            match = _KEY.fullmatch(key)
            if not match:
                faults.add("unknown arrays", f"{key}: not a name such as x, y, x_train, y_train")
                continue
            what = "images" if match["what"].lower() in _IMAGES else "labels"
            arrays = found.setdefault(SPLITS[(match["split"] or "train").lower()], {})
            if what in arrays:
                faults.add("doubtful arrays", f"{key}: another array holds the {what} of the same split")
            arrays[what] = _member(file, key, faults)
    return found


def _member(file: Mapping[str, Any], key: str, faults: Faults) -> Numbers | None:
    try:
        array: Numbers = file[key]
        return array
    except (ValueError, OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        faults.add("unreadable arrays", f"{key}: cannot be read ({first_line(error)})")
        return None


def _images(name: str, array: Numbers | None, faults: Faults) -> Pixels | None:
    if array is None:
        return None
    arranged = _arranged(array)
    if arranged is None:
        wanted = "N x H x W, N x H x W x C or N x C x H x W with C = 1 or 3"
        faults.add("wrong shapes", f"{name}: images of shape {array.shape}, where {wanted} is needed")
    scaled = _scaled(name, array if arranged is None else arranged, faults)
    return None if arranged is None else scaled


def _arranged(array: Numbers) -> Numbers | None:
    if array.ndim == 3:
        return array[:, None]
    if array.ndim != 4 or (array.shape[1] in _CHANNELS) == (array.shape[3] in _CHANNELS):
        return None
    return array if array.shape[1] in _CHANNELS else array.transpose(0, 3, 1, 2)


def _scaled(name: str, array: Numbers, faults: Faults) -> Pixels | None:
    if array.dtype == np.uint8 or array.size == 0:
        return array.astype(np.uint8, copy=False)
    if not np.issubdtype(array.dtype, np.floating):
        faults.add("wrong types", f"{name}: images of type {array.dtype}, where uint8 is needed")
        return None
    low, high = float(array.min()), float(array.max())
    if not (low >= -1 and high <= 1):
        faults.add("values out of range", f"{name}: values from {low:g} to {high:g}, outside of [0, 1] and [-1, 1]")
        return None
    levels = (array + 1) * 127.5 if low < 0 else array * 255.0
    rounded = np.rint(levels)
    inexact = int((np.abs(levels - rounded) > _TOLERANCE).sum())
    if inexact:
        grid = "2k/255 - 1" if low < 0 else "k/255"
        faults.add("wrong types", f"{name}: {inexact:,} values of type {array.dtype} are not {grid}; round to uint8")
        return None
    return rounded.astype(np.uint8)


def _whole(name: str, array: Numbers | None, faults: Faults) -> Numbers | None:
    if array is None:
        return None
    if array.ndim == 1 and np.issubdtype(array.dtype, np.integer):
        return array
    faults.add("labels", f"{name}: labels of type {array.dtype} and shape {array.shape}, not whole numbers (N)")
    return None
