"""Encoded images to pixels, with nothing trusted: few formats, no bombs, 8 bits a channel.

Of an animation the first frame is taken. A photograph (JPEG) that would take too much memory is decoded at half its
size, as the format allows, and refused if that is too much as well.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from sparring.data.faults import first_line
from sparring.data.opening import contents
from sparring.data.sources.base import Pixels, Unreadable

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM")
"""What is decoded; Pillow knows formats that start other programs, or unpack beyond their declared size."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
"""What is taken for an image, so that one of another format is told of, not passed over."""

MEMORY = 2**28
"""Bytes that decoding one image may take, enough for 26 million pixels of most kinds."""

_ENCODED = 2**26
_SCANS = 100
"""A JPEG file has about ten; every one costs time, however few bytes it takes."""
_START_OF_SCAN = b"\xff\xda"

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
        Unreadable: it is damaged, of another kind, or a bomb.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            return _decoded(contents(source, _ENCODED) if isinstance(source, Path) else source)
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


def _decoded(content: bytes) -> Pixels:
    image = _opened(content)
    if image.format == "PNG":
        # Decoding passes over the checksums of the pixels; and what was verified must be opened anew.
        Image.open(BytesIO(content), formats=("PNG",)).verify()
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode != _TARGETS[image.mode]:
        image = image.convert(_TARGETS[image.mode])
    return channels_first(np.asarray(image))


def _opened(content: bytes) -> Image.Image:
    """An image that can be decoded, but is not yet."""
    image = Image.open(BytesIO(content), formats=FORMATS)
    _refuse_bombs(image, content)
    if image.mode not in _TARGETS:
        raise Unreadable(f"mode {image.mode}; 8 bits a channel are needed")
    bits = _bits(image, content)
    if bits > 8:
        raise Unreadable(f"{bits} bits a channel; 8 are needed")
    return image


def _refuse_bombs(image: ImageFile.ImageFile, content: bytes) -> None:
    """Reckon what decoding will take before it begins."""
    width, height = image.size
    photograph = image.format in ("JPEG", "MPO")
    scans = content.count(_START_OF_SCAN) if photograph else 1
    if scans > _SCANS:
        raise Unreadable(f"{scans:,} scans, where {_SCANS} are allowed")
    # Several scans are summed up in coefficients of 16 bits, at full size whatever is decoded.
    coefficients = 2 * len(image.getbands()) * width * height if scans > 1 else 0
    if photograph and _needed(image, content, coefficients) > MEMORY:
        image.draft(None, (max(width // 2, 1), max(height // 2, 1)))
    needed = _needed(image, content, coefficients)
    if needed > MEMORY:
        room = f"{needed >> 20:,} MiB to decode, where {MEMORY >> 20} are allowed"
        raise Unreadable(f"{width:,} x {height:,} pixels take {room}")


def _needed(image: Image.Image, content: bytes, coefficients: int) -> int:
    """Bytes: Pillow holds a pixel in 4, and takes 6 more to hand it over, or 4 to turn or convert it."""
    pixels = image.width * image.height
    return len(content) + max(10 * pixels, 4 * pixels + coefficients)


def _bits(image: ImageFile.ImageFile, content: bytes) -> int:
    """Bits a channel: of PNG as byte 24 says, of PPM as the largest value does; Pillow cuts both to 8."""
    if image.format == "PNG":
        return content[24]
    if image.format == "PPM" and isinstance(image.tile[0].args, tuple):
        return int(image.tile[0].args[-1]).bit_length()
    return 8
