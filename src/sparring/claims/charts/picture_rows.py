"""Rows of pictures, as samples, gradients or adversarial samples.

Source: Robust GANs against Dishonest Adversaries, figures 4, 11, 14, 15; AS-GAN, figures 1, 9, 12
to 15; Direct Adversarial Training, figure 1.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass

from sparring.claims.charts.base import ClaimChart, Names, as_tuple
from sparring.claims.charts.cell_grid import SIDE, GridRow, grid_svg
from sparring.claims.charts.scatter_rows import row_label, row_places
from sparring.claims.charts.seed_means import values_at
from sparring.claims.charts.value_axis import words
from sparring.claims.results import ClaimValues
from sparring.claims.values import Pictures
from sparring.core.pieces import piece

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ACROSS = 3
"""Rows of one picture stand side by side, this many."""


@dataclass(frozen=True)
class PictureRow:
    """The pictures of one game.

    Args:
        label: of the row.
        seed: of the game.
        png: base64 by name.
    """

    label: str
    seed: int
    png: dict[str, str]


@piece("picture_rows")
class PictureRows(ClaimChart):
    """A row for each label: the pictures of the first seed that has some.

    Args:
        y: a measure of pictures.
        rows: one axis, or two.
    """

    y: str
    rows: str | Names = ""

    @property
    def measures(self) -> tuple[str, ...]:
        return (self.y,)

    @property
    def axes(self) -> tuple[str, ...]:
        return as_tuple(self.rows)

    @property
    def caption(self) -> str:
        return "Pictures of the first seed, not chosen by eye."

    def pictures(self, values: ClaimValues) -> list[PictureRow]:
        """What is drawn, without rows that have no pictures."""
        found = []
        for place in row_places(values, as_tuple(self.rows)):
            for seed, several in sorted(values_at(values, self.y, place).items()):
                first = several[0]
                if isinstance(first, Pictures) and first.png:
                    found.append(PictureRow(row_label(place), seed, first.png))
                    break
        return found

    def drawn(self, values: ClaimValues, key: str) -> str:
        rows = self.pictures(values)
        if rows and all(len(row.png) == 1 for row in rows):
            named = [(row.label, png) for row in rows for png in row.png.values()]
            return grid_svg(key, [_row("", named[at : at + _ACROSS]) for at in range(0, len(named), _ACROSS)], _ACROSS)
        drawn = [_row(row.label, [(words(name), png) for name, png in row.png.items()]) for row in rows]
        return grid_svg(key, drawn, max((len(row.png) for row in rows), default=0))


def _row(label: str, named: list[tuple[str, str]]) -> GridRow:
    sizes = [png_size(png) for _, png in named]
    height = max(SIDE * high / wide for wide, high in sizes)
    images = [_image(png, SIDE * high / wide) for (_, png), (wide, high) in zip(named, sizes, strict=True)]
    return GridRow(label, round(height, 1), tuple(images), tuple(name for name, _ in named))


def _image(png: str, height: float) -> str:
    return (
        f'<image width="{SIDE}" height="{height:.1f}" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{png}"/>'
    )


def png_size(png: str) -> tuple[int, int]:
    """Width and height of a PNG picture in base64, from its head; a square if it is none."""
    try:
        head = base64.b64decode(png[:32], validate=True)
    except binascii.Error:
        return 1, 1
    wide, high = struct.unpack(">II", head[16:24]) if head.startswith(_SIGNATURE) and len(head) == 24 else (1, 1)
    return max(wide, 1), max(high, 1)
