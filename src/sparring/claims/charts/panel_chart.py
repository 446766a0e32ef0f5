"""Charts of means over seeds, with a panel for each label of an axis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sparring.claims.charts.base import ClaimChart
from sparring.claims.charts.panels import Draw, panels_svg
from sparring.claims.charts.seed_means import places_on
from sparring.claims.charts.value_axis import ValueAxis, setting, value_axis
from sparring.claims.results import ClaimValues

IN_PRINT = {"paper": ("o", "in print"), "code": ("s", "published code")}
"""Marker and label of published numbers, by source."""


class PanelChart(ClaimChart, ABC):
    """A chart in panels with one value axis.

    Args:
        panels: axis with a panel for each label.
        unit: label of the value axis.
        is_log: a logarithmic value axis.
    """

    panels: str = ""
    unit: str = ""
    is_log: bool = False

    @abstractmethod
    def drawers(self, values: ClaimValues, info: ValueAxis) -> Sequence[Draw]:
        """What draws each panel.

        Args:
            values: of the cells.
            info: the value axis.
        """

    def drawn(self, values: ClaimValues, key: str) -> str:
        info = value_axis(self.measures[0], self.unit)

        def dress(axes: Axes) -> None:
            if self.is_log:
                _set_log_scale(axes)
            else:
                _set_limits(axes, info)

        return panels_svg(key, panel_titles(values, self.panels), self.drawers(values, info), dress=dress)


def panel_titles(values: ClaimValues, axis: str) -> list[str]:
    """The title of every panel; without an axis there is one panel, and it has none."""
    return [setting(axis, place[axis]) if axis else "" for place in places_on(values, axis)]


def _set_log_scale(axes: Axes) -> None:
    axes.set_yscale("log")
    bottom, top = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if top < 100 * bottom else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _set_limits(axes: Axes, info: ValueAxis) -> None:
    """The limits of the measure, with room for markers at them."""
    bottom, top = axes.get_ylim()
    low = bottom if info.low is None else info.scale * info.low
    high = top if info.high is None else info.scale * info.high
    room = 0.04 * (high - low)
    axes.set_ylim(low if info.low is None else low - room, high if info.high is None else high + room)
