"""A map of two axes of the grid, with a number in every cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from sparring.claims.charts.base import ClaimChart
from sparring.claims.charts.panel_chart import panel_titles
from sparring.claims.charts.panels import panels_svg
from sparring.claims.charts.seed_means import labels_on, mean_at, places_on
from sparring.claims.charts.value_axis import ValueAxis, in_order, value_axis, words
from sparring.claims.results import ClaimValues
from sparring.claims.values import Label
from sparring.core.pieces import piece
from sparring.report.charts import INK
from sparring.report.seed_mean import SeedMean

_COLOURS = LinearSegmentedColormap.from_list("white_to_blue", [(247 / 255, 247 / 255, 242 / 255), (0, 90 / 255, 0.59)])
_WIDTHS = (4.4, 3.1)
"""Of a single panel, and of one among several, in inches."""
_ROW = 0.3
"""Height of a row in inches."""


@dataclass(frozen=True)
class MapPanel:
    """One panel.

    Args:
        rows, columns: labels.
        means: over seeds, by row and column; None where nothing is played.
    """

    rows: tuple[Label, ...]
    columns: tuple[Label, ...]
    means: tuple[tuple[SeedMean | None, ...], ...]


@piece("map")
class HeatMap(ClaimChart):
    """Means over seeds, from white (least) to blue (greatest).

    Args:
        y: the measure.
        x: axis of the columns.
        rows: axis of the rows.
        panels: axis with a panel for each label.
        unit: of the numbers, below the map.
    """

    y: str
    x: str
    rows: str
    panels: str = ""
    unit: str = ""

    @property
    def measures(self) -> tuple[str, ...]:
        return (self.y,)

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.x, self.rows, self.panels)))

    @property
    def caption(self) -> str:
        return f"Mean over seeds from white (least) to blue (greatest): {value_axis(self.y, self.unit).label}."

    def maps(self, values: ClaimValues) -> list[MapPanel]:
        """What is drawn."""
        rows, columns = (in_order(labels_on(values, axis)) for axis in (self.rows, self.x))
        return [
            MapPanel(
                rows,
                columns,
                tuple(
                    tuple(mean_at(values, self.y, panel | {self.rows: row, self.x: column}) for column in columns)
                    for row in rows
                ),
            )
            for panel in places_on(values, self.panels)
        ]

    def drawn(self, values: ClaimValues, key: str) -> str:
        panels, info = self.maps(values), value_axis(self.y, self.unit)
        every = [each.mean for panel in panels for row in panel.means for each in row if each]
        low = min(every, default=0.0) if info.low is None or info.high is None else info.low
        high = max(every, default=1.0) if info.high is None else info.high
        tall = 0.9 + _ROW * max((len(panel.rows) for panel in panels), default=0)
        return panels_svg(
            key,
            panel_titles(values, self.panels),
            [partial(self._panel, panel=panel, limits=(low, high), info=info) for panel in panels],
            dress=lambda axes: axes.invert_yaxis(),
            size=(_WIDTHS[len(panels) > 1], tall),
        )

    def _panel(self, axes: Axes, panel: MapPanel, limits: tuple[float, float], info: ValueAxis) -> None:
        numbers = np.array([[each.mean if each else np.nan for each in row] for row in panel.means], dtype=np.float64)
        if np.isfinite(numbers).any():
            mesh = np.ma.masked_invalid(numbers)
            axes.pcolormesh(mesh, cmap=_COLOURS, vmin=limits[0], vmax=limits[1], edgecolors="#dcdcd6", linewidth=0.5)
        axes.grid(visible=False)
        for at in np.argwhere(np.isfinite(numbers)):
            share = (numbers[tuple(at)] - limits[0]) / ((limits[1] - limits[0]) or 1.0)
            colour = "#fff" if share > 0.5 else INK
            text = info.text(float(numbers[tuple(at)]))
            axes.text(at[1] + 0.5, at[0] + 0.5, text, ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(np.arange(len(panel.columns)) + 0.5, [words(label) for label in panel.columns])
        axes.set_yticks(np.arange(len(panel.rows)) + 0.5, [words(label) for label in panel.rows])
        axes.set_xlabel(words(self.x))
        axes.set_ylabel(words(self.rows))
