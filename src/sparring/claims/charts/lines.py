"""Lines over an axis of the grid, as success over clip thresholds with a line a model and a panel a probability.

Source: Robust GANs against Dishonest Adversaries, figures 3, 5, 8, 9, 12; Rob-GAN, figure 2.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from sparring.claims.charts.panel_chart import IN_PRINT, PanelChart
from sparring.claims.charts.panels import Draw
from sparring.claims.charts.seed_means import MEAN_CAPTION, labels_on, mean_at, places_on, printed_at
from sparring.claims.charts.value_axis import ValueAxis, in_order, setting, words
from sparring.claims.results import ClaimValues
from sparring.claims.values import Labels, Published
from sparring.core.pieces import piece
from sparring.report.charts import CYCLE, DASHES, INK
from sparring.report.read import Floats
from sparring.report.seed_mean import SeedMean

_APART = 0.6
"""All lines at one place take this much of the distance of two places, at most."""


@dataclass(frozen=True)
class LinePoint:
    """One place of a line.

    Args:
        place: labels on the axes that are drawn.
        found: mean over seeds; None where nothing is played.
        printed: published numbers.
    """

    place: Labels
    found: SeedMean | None
    printed: tuple[Published, ...]


@piece("lines")
class Lines(PanelChart):
    """Mean over seeds with its 95 % interval: Wilson's for successes, else Student's t.

    Args:
        y: the measure.
        x: axis of the grid; numbers in order, then words, at even distances.
        lines: axis with a line for each label.
    """

    y: str
    x: str
    lines: str = ""

    @property
    def measures(self) -> tuple[str, ...]:
        return (self.y,)

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.x, self.lines, self.panels)))

    @property
    def caption(self) -> str:
        return f"{MEAN_CAPTION} Hollow: published."

    def points(self, values: ClaimValues) -> list[list[list[LinePoint]]]:
        """What is drawn: panels of lines of places."""
        panels, lines = places_on(values, self.panels), places_on(values, self.lines)
        across = [{self.x: label} for label in in_order(labels_on(values, self.x))]
        return [[[self._point(values, panel | line | at) for at in across] for line in lines] for panel in panels]

    def _point(self, values: ClaimValues, place: Labels) -> LinePoint:
        return LinePoint(place, mean_at(values, self.y, place), printed_at(values, self.y, place))

    def drawers(self, values: ClaimValues, info: ValueAxis) -> list[Draw]:
        return [partial(self._panel, lines=lines, info=info) for lines in self.points(values)]

    def _panel(self, axes: Axes, lines: list[list[LinePoint]], info: ValueAxis) -> None:
        step = min(0.12, _APART / max(len(lines), 1))
        for index, points in enumerate(lines):
            colour, dash = CYCLE[index % len(CYCLE)], DASHES[index // len(CYCLE) % len(DASHES)]
            places = np.arange(len(points), dtype=np.float64) + (index - (len(lines) - 1) / 2) * step
            label = setting(self.lines, points[0].place[self.lines]) if self.lines and points else ""
            _draw_means(axes, places, points, info.scale, (colour, dash), label)
            for at, point in zip(places, points, strict=True):
                for each in point.printed:
                    draw_printed(axes, float(at), each, info.scale, colour if self.lines else INK)
        if lines and lines[0]:
            ticks = [words(point.place[self.x]) for point in lines[0]]
            axes.set_xticks(range(len(ticks)), ticks)
            axes.set_xlim(-0.5, len(ticks) - 0.5)
        axes.set_xlabel(words(self.x))
        axes.set_ylabel(info.label)


def _draw_means(
    axes: Axes, places: Floats, points: list[LinePoint], scale: float, look: tuple[str, str], label: str
) -> None:
    """A line through the means with bars for the intervals; a gap where nothing is played."""
    if not any(point.found for point in points):
        return
    none = SeedMean(np.nan, np.nan, np.nan, 0)
    mean, low, high = scale * np.array([astuple(point.found or none)[:3] for point in points]).T
    axes.errorbar(
        places,
        mean,
        yerr=np.maximum([mean - low, high - mean], 0.0),
        color=look[0],
        linestyle=look[1],
        linewidth=1.6,
        elinewidth=0.9,
        capsize=2,
        marker="o",
        markersize=3.5,
        label=label or None,
    )


def draw_printed(axes: Axes, at: float, each: Published, scale: float, colour: str) -> None:
    """A published number as a hollow marker, with its spread."""
    marker, label = IN_PRINT[each.source]
    axes.errorbar(
        [at],
        [scale * each.value],
        yerr=None if each.spread is None else [scale * each.spread],
        color=colour,
        linestyle="none",
        elinewidth=0.9,
        marker=marker,
        markersize=7,
        markerfacecolor="none",
        label=label,
    )
