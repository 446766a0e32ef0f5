"""Encoded images to pixels of 8 bits a channel, by Pillow. Of an animation, the first frame is taken."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sparring.data.faults import first_line
from sparring.data.sources.base import Pixels, UnreadableImage

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM")
"""What is decoded; some other formats of Pillow start other programs."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
"""What is taken for an image, so that one of another format is reported, not passed over."""

_GREY = frozenset({"1", "L", "LA"})
_COLOUR = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
"""Pillow's modes of at most 8 bits a channel; transparency is dropped."""


def decoded(source: bytes | Path) -> Pixels:
    """The pixels of an encoded image, grey or colour.

    Raises:
        UnreadableImage: it is damaged, of another format, or larger than `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
                return _pixels(image)
    except UnidentifiedImageError:
        raise UnreadableImage(f"unreadable image: none of {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's decoders raise almost anything on a damaged file
        raise UnreadableImage(f"unreadable image: {first_line(error)}") from None


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


def _pixels(image: Image.Image) -> Pixels:
    if image.mode not in _GREY | _COLOUR:
        raise ValueError(f"mode {image.mode}; 8 bits a channel are needed")
    ImageOps.exif_transpose(image, in_place=True)
    mode = "L" if image.mode in _GREY else "RGB"
    return channels_first(np.asarray(image if image.mode == mode else image.convert(mode)))
