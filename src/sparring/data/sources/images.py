"""Encoded images to pixels, with nothing trusted: few formats, no bombs, 8 bits a channel."""

from __future__ import annotations

import os
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sparring.data.faults import first_line
from sparring.data.sources.base import Pixels, Unreadable

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


def decoded(source: bytes | Path) -> Pixels:
    """The pixels of an encoded image.

    Raises:
        Unreadable: it is damaged, or of another kind.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            stream = BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(stream, formats=FORMATS) as image:
                target = _TARGETS.get(image.mode)
                if target is None:
                    raise Unreadable(f"mode {image.mode}; 8 bits a channel are needed")
                return channels_first(np.asarray(ImageOps.exif_transpose(image).convert(target)))
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(f"unreadable image: none of {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's decoders raise almost anything on a damaged file
        raise Unreadable(f"unreadable image: {first_line(error)}") from None


def coloured(source: bytes | Path) -> Pixels:
    """The same in three channels: sets of photographs hold a few grey ones."""
    pixels = decoded(source)
    return pixels if len(pixels) == 3 else pixels.repeat(3, axis=0)


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


def cropped(pixels: Pixels, edge: int) -> Pixels:
    """The square of `edge` pixels in the middle; where it cannot be, half a pixel towards the top left."""
    top, left = ((side - edge) // 2 for side in pixels.shape[1:])
    return pixels[:, top : top + edge, left : left + edge]


def resized(pixels: Pixels, size: int) -> Pixels:
    """The largest square in the middle, scaled to `size` in one step (Lanczos, antialiased); grey or colour.

    The same as the shorter side scaled to `size`, then the middle square cropped, but that the longer side is not
    rounded to whole pixels in between. An aligned CelebA image, 178 x 218, loses 20 rows at the top and at the bottom.
    """
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return channels_first(np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)))
