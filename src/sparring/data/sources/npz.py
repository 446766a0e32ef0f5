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
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparring.data.digits import LEVELS, TRAIN, load_digits
from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import SPLITS, Numbers, RawDataset, array_dataset

_IMAGES = ("x", "images", "image", "samples")
_LABELS = ("y", "labels", "label")
_KEY = re.compile(rf"(?P<what>{'|'.join(_IMAGES + _LABELS)})(_(?P<split>{'|'.join(SPLITS)}))?", re.IGNORECASE)
_CHANNELS = (1, 3)
_TOLERANCE = 1e-3
"""In units of 1/255: fp32 rounds by 2e-5, half precision by too much to tell."""


def is_npz(path: Path) -> bool:
    """Whether this is a `.npz` file."""
    return path.is_file() and path.suffix == ".npz"


def read_npz(path: Path, faults: Faults) -> RawDataset:
    """Open a `.npz` file; it is held in memory."""
    found: dict[str, dict[str, Numbers | None]] = {}
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("not a zip file")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            for key in arrays:
                match = _KEY.fullmatch(key)
                if match is None:
                    faults.add(f"{key}: not a name such as x, y, x_train, y_train")
                    continue
                split = SPLITS[(match["split"] or "train").lower()]
                what, read = ("images", _images) if match["what"].lower() in _IMAGES else ("labels", _labels)
                found.setdefault(split, {})[what] = read(split, arrays[key], faults)
    except Exception as error:  # zipfile and NumPy raise almost anything on a damaged file
        faults.add(f"damaged, or not a .npz file of plain arrays ({first_line(error)})")
        return RawDataset("npz", False, {})
    return array_dataset("npz", found, faults)


def read_digits(faults: Faults) -> RawDataset:
    """The built-in digits, their 17 levels spread over 0 to 255 and rounded."""
    samples, labels = load_digits()
    pixels = np.rint(samples * (255 / LEVELS)).astype(np.uint8)
    parts = {"train": slice(TRAIN), "test": slice(TRAIN, None)}
    arrays = {name: {"images": pixels[part], "labels": labels[part]} for name, part in parts.items()}
    return array_dataset("built-in digits", arrays, faults, tuple(map(str, range(10))))


def _labels(name: str, array: Numbers, faults: Faults) -> Numbers | None:
    """Labels as they are, or None if they are at fault."""
    if array.ndim == 1 and array.dtype.kind in "iu":
        return array
    faults.add(f"{name}: labels of type {array.dtype} and shape {array.shape}, not whole numbers (N)")
    return None


def _images(name: str, array: Numbers, faults: Faults) -> npt.NDArray[np.uint8] | None:
    """Images as bytes, `(n, channels, height, width)`, or None if they are at fault."""
    first, last = (array.ndim == 4 and array.shape[axis] in _CHANNELS for axis in (1, -1))
    if array.ndim == 3:
        array = array[:, None]
    elif last and not first:
        array = array.transpose(0, 3, 1, 2)
    elif first == last:
        wanted = "N x H x W, N x H x W x C or N x C x H x W with C = 1 or 3"
        faults.add(f"{name}: images of shape {array.shape}, where {wanted} is needed")
        return None
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        faults.add(f"{name}: images of type {array.dtype}, where uint8 is needed")
        return None
    return _levels(name, array, faults)


def _levels(name: str, array: Numbers, faults: Faults) -> npt.NDArray[np.uint8] | None:
    """The bytes that floats stand for, or None if they stand for none."""
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if not (low >= -1 and high <= 1):
        faults.add(f"{name}: values from {low:g} to {high:g}, outside of [0, 1] and [-1, 1]")
        return None
    scale, factor, offset = ("2k/255 - 1", 127.5, 1) if low < 0 else ("k/255", 255.0, 0)
    values = (array + offset) * factor
    levels = np.rint(values)
    inexact = int((np.abs(values - levels) > _TOLERANCE).sum())
    if inexact:
        faults.add(f"{name}: {inexact:,} values of type {array.dtype} are not {scale}; round to uint8")
        return None
    return levels.astype(np.uint8)
