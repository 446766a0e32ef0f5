"""Panels side by side in one SVG, three in a row at most."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparring.report.charts import GREY, drawing_style, inline_svg

Draw = Callable[[Axes], None]
"""Draws one panel into its axes."""
_COLUMNS = 3
_ONE, _OF_MANY = (4.4, 2.9), (3.1, 2.5)
"""Sizes of a single panel, and of one among several, in inches."""
_NARROWEST, _WIDEST = 250, 400
"""Width of a column on a page, in pixels: below the first a page scrolls, so that its text stays legible."""
_LETTERS = 15.5
"""Letters of a legend in an inch."""


def panels_svg(
    key: str,
    titles: Sequence[str],
    drawers: Sequence[Draw],
    *,
    dress: Draw,
    columns: int = _COLUMNS,
    size: tuple[float, float] | None = None,
) -> str:
    """The panels as an inline SVG element, with one value axis and one legend for all.

    Args:
        key: unique on the page.
        titles: one a panel.
        drawers: one a panel.
        dress: sets the value axis once all panels are drawn.
        columns: panels in a row, at most.
        size: of a panel, in inches.
    """
    count = max(len(titles), 1)
    across = min(count, columns)
    down = math.ceil(count / across)
    one = size or (_ONE if count == 1 else _OF_MANY)
    with drawing_style():
        figure = Figure(figsize=(one[0] * across, one[1] * down + (0.3 if count > 1 else 0.0)), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False, sharey=True).ravel().tolist()
        for axes in grid[count:]:
            axes.remove()
        for axes, (title, draw) in zip(grid, zip(titles, drawers, strict=True), strict=False):
            axes.set_title(title, fontsize=9, loc="left")
            draw(axes)
        for place, axes in enumerate(grid[:count]):
            if place % across:
                axes.set_ylabel("")
        if any(axes.has_data() for axes in grid[:count]):
            dress(grid[0])
        else:
            grid[0].text(0.5, 0.5, "nothing played yet", transform=grid[0].transAxes, ha="center", color=GREY)
        _legend(figure, grid[:count])
        return sized(inline_svg(figure, key), across)


def sized(svg: str, columns: int, narrowest: int = _NARROWEST, widest: int = _WIDEST) -> str:
    """An SVG element with limits of its width on a page; one of several columns has the class `wide`."""
    style = f'style="min-width:{narrowest * columns}px;max-width:{widest * columns}px"'
    wide = ' class="wide"' if columns > 1 else ""
    return svg.replace("<svg", f"<svg{wide} {style}", 1)


def _legend(figure: Figure, grid: Sequence[Axes]) -> None:
    """One entry for each label of all panels."""
    entries = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if not entries:
        return
    room = figure.get_size_inches()[0] * _LETTERS / (max(map(len, entries)) + 7)
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside upper left",
        ncols=max(1, min(len(entries), int(room))),
        frameon=False,
        fontsize=8,
        handlelength=1.8,
    )
