"""Arrays: `.npz` files and the built-in digits.

A file holds images under `x` (labels `y`), `images` (`labels`) or `samples` (`labels`), or both splits as `x_train`,
`y_train`, `x_test`, `y_test`. Images are N x H x W, N x H x W x C or N x C x H x W with one or three channels. The type
says the scale: uint8 is 0 to 255; floats are k/255, or 2k/255 - 1 if any is negative, and are taken only where every
value is such a number, so that nothing is lost or guessed. Every other type is refused.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.data.digits import LEVELS, TRAIN, load_digits
from sparring.data.faults import Faults
from sparring.data.sources.base import SPLITS, Example, Pixels, Raw, Split, first_line

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
        images = _images(name, arrays["images"], faults) if "images" in arrays else None
        labels = _whole(name, arrays["labels"], faults) if "labels" in arrays else None
        if images is not None:
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


def split_of_arrays(name: str, images: Pixels, labels: npt.NDArray[Any] | None, faults: Faults) -> Split:
    """A split from uint8 images `(n, channels, height, width)` and whole labels `(n)`."""
    if labels is not None and len(labels) != len(images):
        faults.add("labels", f"{name}: {len(images):,} images, but {len(labels):,} labels")

    def examples() -> Iterator[Example]:
        for index, pixels in enumerate(images):
            label = None if labels is None or index >= len(labels) else int(labels[index])
            yield Example(f"{name}[{index}]", pixels, label)

    return Split(len(images), examples)


def _members(path: Path, faults: Faults) -> dict[str, dict[str, npt.NDArray[Any]]]:
    found: dict[str, dict[str, npt.NDArray[Any]]] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in file.files:
                match = _KEY.fullmatch(key)
                if not match:
                    faults.add("unknown arrays", f"{key}: not a name such as x, y, x_train, y_train, images, labels")
                    continue
                what = "images" if match["what"].lower() in _IMAGES else "labels"
                arrays = found.setdefault(SPLITS[(match["split"] or "train").lower()], {})
                if what in arrays:
                    faults.add("doubtful arrays", f"{key}: another array holds the {what} of the same split")
                try:
                    arrays[what] = file[key]
                except (ValueError, OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
                    faults.add("unreadable arrays", f"{key}: cannot be read ({first_line(error)})")
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        faults.add("unreadable files", f"{path.name}: not a .npz file of arrays ({first_line(error)})")
    return found


def _images(name: str, array: npt.NDArray[Any], faults: Faults) -> Pixels | None:
    arranged = _arranged(array)
    if arranged is None:
        wanted = "N x H x W, N x H x W x C or N x C x H x W with C = 1 or 3"
        faults.add("wrong shapes", f"{name}: images of shape {array.shape}, where {wanted} is needed")
    return _scaled(name, array if arranged is None else arranged, faults) if array.size else arranged


def _arranged(array: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    if array.ndim == 3:
        return array[:, None]
    if array.ndim != 4 or (array.shape[1] in _CHANNELS) == (array.shape[3] in _CHANNELS):
        return None
    return array if array.shape[1] in _CHANNELS else array.transpose(0, 3, 1, 2)


def _scaled(name: str, array: npt.NDArray[Any], faults: Faults) -> Pixels | None:
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        faults.add("wrong types", f"{name}: images of type {array.dtype}, where uint8 is needed")
        return None
    low, high = float(array.min()), float(array.max())
    if not (-1 <= low and high <= 1):
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


def _whole(name: str, array: npt.NDArray[Any], faults: Faults) -> npt.NDArray[Any] | None:
    if array.ndim == 1 and np.issubdtype(array.dtype, np.integer):
        return array
    faults.add("labels", f"{name}: labels of type {array.dtype} and shape {array.shape}, not whole numbers (N)")
    return None
