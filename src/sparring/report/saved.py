"""Pictures and arrays that a run saved: opened as nothing but what they should be, within limits, or left out."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sparring.core.errors import CorruptInput
from sparring.core.files import read_file

Arrays = dict[str, npt.NDArray[Any]]
LARGEST = 64 << 20
"""Bytes of a file, and of what it holds."""
SIDE = 8192
"""Pixels of the side of a grid of pictures, at most."""
LARGEST_SIDE = 512
"""Pixels of the side of one picture, at most."""
_REMEDY = "remove the file"


def arrays_in(path: Path) -> Arrays:
    """The arrays of an .npz file, by name; no pickles.

    Raises:
        CorruptInput: it is not one, or too large.
    """
    try:
        content = io.BytesIO(read_file(path))
        with zipfile.ZipFile(content) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST:
                raise CorruptInput(f"{path}: holds more than {LARGEST:,} bytes", _REMEDY)
        with np.load(content, allow_pickle=False) as found:
            return {name: np.asarray(found[name]) for name in found.files}
    except CorruptInput:
        raise
    except Exception as error:  # NumPy's and zipfile's readers raise almost anything on a damaged file
        raise CorruptInput(f"{path}: not arrays ({type(error).__name__})", _REMEDY) from None


def picture_in(path: Path) -> Image.Image:
    """The picture of a PNG file, in grey or in colour, without what else the file says.

    Raises:
        CorruptInput: it is not a PNG, or too large.
    """
    try:
        with Image.open(io.BytesIO(read_file(path)), formats=("PNG",)) as opened:
            if max(opened.size) > SIDE:
                raise CorruptInput(f"{path}: more than {SIDE:,} pixels wide or high", _REMEDY)
            pixels = np.asarray(opened.convert("L" if opened.mode in ("1", "L") else "RGB"))
    except CorruptInput:
        raise
    except Exception as error:  # Pillow's readers raise almost anything on a damaged file
        raise CorruptInput(f"{path}: not a PNG picture ({type(error).__name__})", _REMEDY) from None
    return Image.fromarray(pixels)
