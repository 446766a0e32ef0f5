"""A game on the plane at one round: generated points and true modes over D's probability of "real"."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

SIDE = 288
"""Pixels of a panel of points, about twice its size on the page."""
LEVELS = 20
"""Shades of D's landscape."""
_FAKE, _EVEN, _REAL = (243, 178, 133), (250, 250, 247), (140, 190, 226)
_RING, _DOT, _OUTSIDE = (0, 84, 140), (20, 20, 20), (213, 94, 0)
_EDGE = 7
"""Half the side of the square on the frame for points outside of it."""


def plane(
    points: npt.NDArray[Any], landscape: npt.NDArray[Any], extent: float, centres: npt.NDArray[Any], std: float
) -> Image.Image:
    """Generated points and the true modes, as rings of 3 std, over D's probability of "real".

    Points outside of the square are drawn on its frame.

    Args:
        points: `(n, 2)`.
        landscape: D's output in [0, 1] at [y, x], upwards.
        extent: half the side of the square that it covers.
        centres: of the true modes, `(modes, 2)`.
        std: of a mode.
    """
    field = Image.fromarray(np.nan_to_num(landscape[::-1].astype(np.float32), nan=0.5))
    smooth = np.asarray(field.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    shades = np.clip((smooth * LEVELS).astype(np.int64), 0, LEVELS - 1).astype(np.uint8)
    image = Image.fromarray(shades)
    draw = ImageDraw.Draw(image)
    for x, y in _pixels(centres, extent):
        radius = 3 * std / extent * SIDE / 2
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=LEVELS, width=2)
    canvas = np.pad(np.asarray(image), 1)
    is_inside = (np.abs(points) <= extent).all(axis=1)
    columns, rows = np.clip(_pixels(points[is_inside], extent).round().astype(int), 0, SIDE - 1).T
    for down, right in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
        canvas[rows + 1 + down, columns + 1 + right] = LEVELS + 1
    final = Image.fromarray(np.ascontiguousarray(canvas[1:-1, 1:-1]), mode="P")
    beyond = np.clip(_pixels(points[~is_inside], extent), _EDGE, SIDE - 1 - _EDGE).round()
    for x, y in np.unique(beyond, axis=0).tolist():
        ImageDraw.Draw(final).rectangle((x - _EDGE, y - _EDGE, x + _EDGE, y + _EDGE), fill=LEVELS + 2)
    final.putpalette(_palette())
    return final


def _pixels(points: npt.NDArray[Any], extent: float) -> npt.NDArray[np.float64]:
    """Column and row of points of the plane, `(n, 2)`."""
    unit = points.astype(np.float64) * (1, -1) / extent
    scaled: npt.NDArray[np.float64] = (unit + 1) / 2 * (SIDE - 1)
    return scaled


def _palette() -> list[int]:
    """Vermillion where D says generated, blue where it says real, pale in between; then ring, dot and frame."""
    half = LEVELS // 2
    falling = np.linspace(_FAKE, _EVEN, half)
    rising = np.linspace(_EVEN, _REAL, LEVELS - half)
    colours = np.vstack([falling, rising, [_RING], [_DOT], [_OUTSIDE]]).round().astype(int)
    return [int(value) for value in colours.flatten()]
