"""A grid of small pictures with a label above every row, as one SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sparring.claims.charts.panels import sized
from sparring.report.charts import GREY, INK

SIDE = 100
"""Width of a picture, in units of the drawing."""
_GAP, _LINE = 6, 15


@dataclass(frozen=True)
class GridRow:
    """A row of pictures.

    Args:
        label: above it.
        height: of its pictures.
        pictures: SVG elements within `SIDE` x `height`; empty where there is none.
        notes: below each picture.
    """

    label: str
    height: float
    pictures: tuple[str, ...]
    notes: tuple[str, ...]


def grid_svg(key: str, rows: Sequence[GridRow], columns: int) -> str:
    """The rows as an inline SVG element.

    Args:
        key: unique on the page.
        rows: from the top.
        columns: pictures in a row, at most.
    """
    width = max(columns, 3) * (SIDE + _GAP) - _GAP
    parts, top = list[str](), 0.0
    for row in rows:
        if row.label:
            parts.append(_text(0, top + 11, row.label, INK, 11))
            top += _LINE
        for index, (picture, note) in enumerate(zip(row.pictures, row.notes, strict=True)):
            left = index * (SIDE + _GAP)
            parts.append(f'<g transform="translate({left} {top:g})">{picture}</g>' if picture else "")
            parts.append(_text(left, top + row.height + 10, note, GREY, 9))
        top += row.height + _LINE + (_GAP if any(row.notes) else 0)
    if not any(picture for row in rows for picture in row.pictures):
        parts.append(_text(0, top + 11, "nothing played yet", GREY, 11))
        top += _LINE
    svg = (
        f'<svg role="img" aria-labelledby="{key}-title" viewBox="0 0 {width} {max(top, _LINE):g}" version="1.1" '
        f'font-family="sans-serif">\n{chr(10).join(filter(None, parts))}\n</svg>'
    )
    return sized(svg, max(columns, 3), narrowest=84, widest=190)


def _text(x: float, y: float, text: str, colour: str, size: int) -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}" font-size="{size}">{escape(text)}</text>' if text else ""
