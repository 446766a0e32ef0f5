"""Histograms one below the other, with one horizontal axis.

Source: AS-GAN, figure 5.
"""

from __future__ import annotations

from functools import partial

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sparring.claims.charts.base import ClaimChart, Names, as_tuple
from sparring.claims.charts.curves import SeedCurve, seed_curve
from sparring.claims.charts.panel_chart import panel_titles
from sparring.claims.charts.panels import panels_svg
from sparring.claims.charts.seed_means import places_on
from sparring.claims.charts.value_axis import value_axis
from sparring.claims.results import ClaimValues
from sparring.core.pieces import piece
from sparring.report.charts import CYCLE

_SIZE = (4.4, 1.5)
"""Of a panel in inches."""


@piece("histogram")
class ShareHistogram(ClaimChart):
    """Shares over centres of bins: mean over seeds, a panel for each label.

    Args:
        y: a measure of curves, x = centres of bins and y = shares; or several.
        rows: axis with a panel for each label.
        across: label of the horizontal axis.
    """

    y: str | Names
    rows: str = ""
    across: str = ""

    @property
    def measures(self) -> tuple[str, ...]:
        return as_tuple(self.y)

    @property
    def axes(self) -> tuple[str, ...]:
        return as_tuple(self.rows)

    @property
    def caption(self) -> str:
        return "Shares in percent, mean over seeds."

    def shares(self, values: ClaimValues) -> list[list[SeedCurve]]:
        """What is drawn: panels of histograms."""
        return [
            [found for measure in self.measures if (found := seed_curve(values, measure, place)) is not None]
            for place in places_on(values, self.rows)
        ]

    def drawn(self, values: ClaimValues, key: str) -> str:
        panels = self.shares(values)
        every = [at for panel in panels for each in panel for at in each.x]
        limits = (min(every), max(every)) if len(set(every)) > 1 else (0.0, 1.0)

        below = [""] * (len(panels) - 1) + [self.across or value_axis(self.measures[0]).label]
        drawers = [
            partial(self._panel, histograms=panel, limits=limits, below=label)
            for panel, label in zip(panels, below, strict=False)
        ]

        def dress(axes: Axes) -> None:
            axes.set_ylim(bottom=0)

        return panels_svg(key, panel_titles(values, self.rows), drawers, dress=dress, columns=1, size=_SIZE)

    def _panel(self, axes: Axes, histograms: list[SeedCurve], limits: tuple[float, float], below: str) -> None:
        for each in histograms:
            which = self.measures.index(each.measure)
            label = value_axis(each.measure).title if len(self.measures) > 1 else None
            axes.fill_between(each.x, 100 * each.mean, step="mid", color=CYCLE[which], alpha=0.3, linewidth=0)
            axes.step(each.x, 100 * each.mean, where="mid", color=CYCLE[which], linewidth=1.2, label=label)
        axes.set_xlim(*limits)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_ylabel("share (%)")
        axes.set_xlabel(below)
