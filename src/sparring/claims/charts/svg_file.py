"""A chart of a page as an SVG file of its own."""

from __future__ import annotations

from html import escape

_SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def svg_file(svg: str, key: str, title: str) -> str:
    """An inline SVG element as a document, on white, with its title.

    Args:
        svg: as `ClaimChart.draw` returns it.
        key: that it was drawn with.
        title: of the chart.
    """
    head, inside = svg.split(">", 1)
    background = '<rect width="100%" height="100%" fill="#fff"/>'
    opened = head.replace("<svg", f"<svg {_SPACES}", 1)
    return f'{opened}>\n<title id="{key}-title">{escape(title)}</title>\n{background}{inside}\n'
