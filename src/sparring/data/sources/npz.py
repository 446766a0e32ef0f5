"""Arrays: `.npz` files, folders of them, and the built-in digits.

A file holds images under `x`, `images` or `samples` and labels under `y` or `labels`, or both splits as
`x_train`, `y_train`, `x_test`, `y_test`. Arrays without names, `arr_0` and so on, are images if they have three or four
axes and labels if they have one; the name of the file says the split, as KMNIST's does: kmnist-train-imgs.npz and
kmnist-train-labels.npz, kmnist-test-imgs.npz and kmnist-test-labels.npz. A file of images alone
has its labels beside it.

Images are N x H x W, N x H x W x C or N x C x H x W, with C 1 or 3: uint8, or floats in [0, 1], in [-1, 1] if any is
negative, or in [0, 255] if the largest is above 127. Floats are rounded to 256 levels, and that is noted. Every other
type is refused, and so are objects, which only a pickle holds.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparring.data.digits import LEVELS, TRAIN, load_digits
from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import SPLITS, Numbers, RawDataset, array_dataset, split_in

_IMAGES = ("x", "images", "image", "samples")
_LABELS = ("y", "labels", "label")
_KEY = re.compile(rf"(?P<what>{'|'.join(_IMAGES + _LABELS)})(_(?P<split>{'|'.join(SPLITS)}))?", re.IGNORECASE)
_UNNAMED = re.compile(r"arr_[0-9]+")
_IMAGES_IN_NAME = re.compile(r"(images|image|imgs|img)(?=\.npz$)")
_CHANNELS = (1, 3)
_BRIGHT = 127
"""Floats whose largest value is between 1 and this have an unknown scale."""

Splits = dict[str, dict[str, Numbers | None]]
"""Arrays by split, and by whether they are images or labels."""


def has_npz(path: Path) -> bool:
    """Whether this is a `.npz` file, or a folder with some directly in it."""
    files = path.iterdir() if path.is_dir() else [path]
    return any(file.suffix == ".npz" and file.is_file() for file in files)


def npz_files(path: Path) -> list[Path]:
    """The files that are read: all in a folder, or one and the labels beside it."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix == ".npz")
    labels = path.with_name(_IMAGES_IN_NAME.sub("labels", path.name))
    return [path, labels] if labels != path and labels.is_file() else [path]


def read_npz(path: Path, faults: Faults) -> RawDataset:
    """Open a `.npz` file, with the labels beside it if it has none, or all in a folder; they are held in memory."""
    files = npz_files(path)
    found: Splits = {}
    notes: dict[str, None] = {}
    for file in files:
        try:
            if not zipfile.is_zipfile(file):
                raise ValueError("not a zip file")
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
                split = (split_in(file.name) if len(files) > 1 else "") or "train"
                for key in arrays:
                    _take(key, arrays[key], split, found, faults, notes)
        except Exception as error:  # zipfile and NumPy raise almost anything on a damaged file
            where = f"{file.name}: " if len(files) > 1 else ""
            faults.add(f"{where}damaged, or not a .npz file of plain arrays ({first_line(error)})")
            return RawDataset("npz", False, {})
    return replace(array_dataset("npz", found, faults), notes=tuple(notes))


def _take(key: str, array: Numbers, split: str, found: Splits, faults: Faults, notes: dict[str, None]) -> None:
    """Add an array to its split; `split` is that of its file."""
    match = _KEY.fullmatch(key)
    if match is not None:
        split = SPLITS[match["split"].lower()] if match["split"] else split
        holds_images = match["what"].lower() in _IMAGES
    elif _UNNAMED.fullmatch(key):
        holds_images = array.ndim > 1
    else:
        faults.add(f"{key}: not a name such as x, y, x_train, y_train")
        return
    what = "images" if holds_images else "labels"
    if what in found.setdefault(split, {}):
        faults.add(f"{split}: a second array of {what}, under {key}")
    found[split][what] = _images(split, array, faults, notes) if holds_images else _labels(split, array, faults)


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


def _images(name: str, array: Numbers, faults: Faults, notes: dict[str, None]) -> npt.NDArray[np.uint8] | None:
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
    return _levels(name, array, faults, notes)


def _levels(name: str, array: Numbers, faults: Faults, notes: dict[str, None]) -> npt.NDArray[np.uint8] | None:
    """The nearest bytes of floats, or None if their scale is not known."""
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    fits = {(-1, 1): -1 <= low < 0 and high <= 1, (0, 1): low >= 0 and high <= 1, (0, 255): low >= 0 and high <= 255}
    scale = next((ends for ends, fit in fits.items() if fit), None)
    if scale is None or 1 < high <= _BRIGHT:
        faults.add(f"{name}: values from {low:g} to {high:g}, neither of [0, 1] or [-1, 1] nor of [0, 255]; scale them")
        return None
    bottom, top = scale
    notes[f"{array.dtype} images in [{bottom}, {top}] are rounded to 256 levels"] = None
    return np.rint((array.astype(np.float64) - bottom) * (255 / (top - bottom))).astype(np.uint8)
