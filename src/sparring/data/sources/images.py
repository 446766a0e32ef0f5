"""Encoded images to pixels, with nothing trusted: few formats, no bombs, 8 bits a channel."""

from __future__ import annotations

import os
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sparring.data.faults import first_line
from sparring.data.sources.base import Example, Pixels

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What is decoded; Pillow knows formats that start other programs."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})

_TARGETS = {
    "1": "L",
    "L": "L",
    "LA": "L",
    "P": "RGB",
    "PA": "RGB",
    "RGB": "RGB",
    "RGBA": "RGB",
    "RGBX": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
}
"""Pillow's modes that become grey or colour; transparency is dropped, and more than 8 bits are refused."""


def decoded(where: str, source: bytes | Path, label: int | None) -> Example:
    """An example from an encoded image, or one that says why it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            stream = BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(stream, formats=FORMATS) as image:
                target = _TARGETS.get(image.mode)
                if target is None:
                    return Example(where, None, label, f"mode {image.mode}; 8 bits a channel are needed")
                pixels = np.asarray(ImageOps.exif_transpose(image).convert(target))
    except UnidentifiedImageError:
        return Example(where, None, label, f"unreadable image: none of {', '.join(FORMATS)}")
    except Exception as error:  # Pillow's decoders raise almost anything on a damaged file
        return Example(where, None, label, f"unreadable image: {first_line(error)}")
    return Example(where, channels_first(pixels), label)


def coloured(example: Example) -> Example:
    """The same in three channels: sets of photographs hold a few grey ones."""
    if example.pixels is None or len(example.pixels) == 3:
        return example
    return example._replace(pixels=example.pixels.repeat(3, axis=0))


def image_names(folder: Path) -> list[str]:
    """The names of the images that lie directly in a folder, sorted; hidden ones are ignored."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if Path(entry.name).suffix.lower() in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
        )


def channels_first(pixels: Pixels) -> Pixels:
    """`(height, width)` or `(height, width, channels)` to `(channels, height, width)`."""
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def resized(pixels: Pixels, size: int) -> Pixels:
    """The largest square in the middle, scaled to `size` in one step (Lanczos, antialiased); grey or colour.

    The same as the shorter side scaled to `size`, then the middle square cropped, but that the longer side is not
    rounded to whole pixels in between. An aligned CelebA image, 178 x 218, loses 20 rows at the top and at the bottom.
    """
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return channels_first(np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)))
