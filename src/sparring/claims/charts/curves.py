"""Curves over rounds or another quantity, a mean over seeds with a band.

Source: AS-GAN, figures 4 to 7; Rob-GAN, figures 6 to 8; Direct Adversarial Training, figures 3 to
8.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sparring.claims.charts.base import Names, as_tuple
from sparring.claims.charts.panel_chart import PanelChart
from sparring.claims.charts.panels import Draw
from sparring.claims.charts.seed_means import MEAN_CAPTION, labels_on, places_on, values_at
from sparring.claims.charts.value_axis import ValueAxis, setting, value_axis
from sparring.claims.results import ClaimValues
from sparring.claims.values import Label, Labels, SampledCurve, Value
from sparring.core.pieces import piece
from sparring.report.charts import CYCLE, DASHES
from sparring.report.overlays import aligned
from sparring.report.read import Floats
from sparring.report.seed_mean import seed_mean


@dataclass(frozen=True)
class SeedCurve:
    """The mean of one measure over seeds.

    Args:
        measure: its name.
        place: labels on the axes that are drawn.
        x: places `(n)`.
        mean: `(n)`.
        band: `(n, 2)`, the 95 % interval; NaN where there is one seed.
    """

    measure: str
    place: Labels
    x: Floats
    mean: Floats
    band: Floats


@piece("curves")
class Curves(PanelChart):
    """A line and a band for each label; several measures have different dashes.

    Args:
        y: one measure of curves, or several.
        lines: axis with a line for each label.
        across: label of the horizontal axis.
    """

    y: str | Names
    lines: str = ""
    across: str = "round"

    @property
    def measures(self) -> tuple[str, ...]:
        return as_tuple(self.y)

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.lines, self.panels)))

    @property
    def caption(self) -> str:
        return MEAN_CAPTION

    def curves(self, values: ClaimValues) -> list[list[SeedCurve]]:
        """What is drawn: panels of curves."""
        return [
            [
                curve
                for line in places_on(values, self.lines)
                for measure in self.measures
                if (curve := seed_curve(values, measure, panel | line)) is not None
            ]
            for panel in places_on(values, self.panels)
        ]

    def drawers(self, values: ClaimValues, info: ValueAxis) -> list[Draw]:
        lines = labels_on(values, self.lines)
        return [partial(self._panel, curves=curves, lines=lines, info=info) for curves in self.curves(values)]

    def _panel(self, axes: Axes, curves: list[SeedCurve], lines: tuple[Label, ...], info: ValueAxis) -> None:
        for curve in curves:
            which = self.measures.index(curve.measure)
            colour = CYCLE[(lines.index(curve.place[self.lines]) if self.lines else which) % len(CYCLE)]
            low, high = info.scale * curve.band.T
            axes.fill_between(curve.x, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(
                curve.x,
                info.scale * curve.mean,
                color=colour,
                linestyle=DASHES[which % len(DASHES)],
                linewidth=1.6,
                label=self._label(curve),
            )
        axes.set_xlabel(self.across)
        axes.set_ylabel(info.label)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.0f}" if abs(at) >= 1000 else f"{at:g}"))
        axes.margins(x=0.02)

    def _label(self, curve: SeedCurve) -> str:
        label = setting(self.lines, curve.place[self.lines]) if self.lines else ""
        name = value_axis(curve.measure).title if len(self.measures) > 1 or not label else ""
        return ", ".join(filter(None, (label, name)))


def seed_curve(values: ClaimValues, measure: str, place: Labels) -> SeedCurve | None:
    """The mean curve of the cells with these labels, by seed and then over seeds; None where nothing is played."""
    found = values_at(values, measure, place)
    by_seed = [curve for each in found.values() if (curve := _mean_of_cells(each)) is not None]
    if not by_seed:
        return None
    x, y = aligned([at for at, _ in by_seed], [values for _, values in by_seed])
    info = value_axis(measure)
    found_means = (seed_mean(row[np.isfinite(row)].tolist(), measure) for row in y)
    means = [each and each.within(info.low, info.high) for each in found_means]
    return SeedCurve(
        measure,
        place,
        x,
        np.array([each.mean if each else np.nan for each in means]),
        np.array([(each.low, each.high) if each and each.seeds > 1 else (np.nan, np.nan) for each in means]),
    )


def _mean_of_cells(curves: list[Value]) -> tuple[Floats, Floats] | None:
    """The mean of the curves of one seed, at their common places."""
    known = [(x, y) for curve in curves if isinstance(curve, SampledCurve) for x, y in [arrays_of(curve)] if len(x)]
    if not known:
        return None
    x, y = aligned([at for at, _ in known], [values for _, values in known])
    whole = np.isfinite(y).all(axis=1)
    return x[whole], y[whole].mean(axis=1)


def arrays_of(curve: SampledCurve) -> tuple[Floats, Floats]:
    """Places and values of a curve, without those that have no number, in the order of the places."""
    pairs = sorted((x, y) for x, y in zip(curve.x, curve.y, strict=True) if y is not None)
    return np.array([x for x, _ in pairs], dtype=np.float64), np.array([y for _, y in pairs], dtype=np.float64)
