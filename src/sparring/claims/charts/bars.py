"""Bars, a group for each label, published numbers beside them.

Source: AS-GAN, figure 3 and tables 1 to 3; Rob-GAN, table 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from matplotlib.axes import Axes

from sparring.claims.charts.base import Names, as_tuple
from sparring.claims.charts.panel_chart import IN_PRINT, PanelChart
from sparring.claims.charts.panels import Draw
from sparring.claims.charts.seed_means import MEAN_CAPTION, mean_at, places_on, printed_at
from sparring.claims.charts.value_axis import ValueAxis, setting, value_axis, words
from sparring.claims.results import ClaimValues
from sparring.claims.values import Labels, Published
from sparring.core.pieces import piece
from sparring.report.charts import CYCLE, INK
from sparring.report.seed_mean import SeedMean

_GROUP = 0.84
"""Width of all bars of a group."""
_LETTERS = 40
"""So many have room below one panel. Labels that would touch their neighbours are turned."""


@dataclass(frozen=True)
class Bar:
    """One bar.

    Args:
        measure: its name.
        place: labels on the axes that are drawn.
        found: mean over seeds; None where nothing is played.
        printed: published numbers.
    """

    measure: str
    place: Labels
    found: SeedMean | None
    printed: tuple[Published, ...]


@piece("bars")
class Bars(PanelChart):
    """Means over seeds with 95 % intervals; published numbers are hollow bars.

    Args:
        y: one measure, or several with a colour each.
        x: axis with a group of bars for each label; without it there is one group.
        bars: axis with a bar of its own colour for each label in every group.
    """

    y: str | Names
    x: str = ""
    bars: str = ""

    @property
    def measures(self) -> tuple[str, ...]:
        return as_tuple(self.y)

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.x, self.bars, self.panels)))

    @property
    def caption(self) -> str:
        return f"{MEAN_CAPTION} Hollow: published."

    def groups(self, values: ClaimValues) -> list[list[list[Bar]]]:
        """What is drawn: panels of groups of bars."""
        return [
            [
                [
                    Bar(measure, place, mean_at(values, measure, place), printed_at(values, measure, place))
                    for each in places_on(values, self.bars)
                    for measure in self.measures
                    for place in [panel | group | each]
                ]
                for group in places_on(values, self.x)
            ]
            for panel in places_on(values, self.panels)
        ]

    def drawers(self, values: ClaimValues, info: ValueAxis) -> list[Draw]:
        return [partial(self._panel, groups=groups, info=info) for groups in self.groups(values)]

    def _panel(self, axes: Axes, groups: list[list[Bar]], info: ValueAxis) -> None:
        for at, group in enumerate(groups):
            sources = [{each.source for each in bar.printed} for bar in group]
            width = _GROUP / max(sum(1 + len(found) for found in sources), 1)
            left = at - _GROUP / 2
            for index, bar in enumerate(group):
                colour = CYCLE[index % len(CYCLE)]
                if bar.found:
                    _draw_bar(axes, left + width / 2, width, bar.found, info.scale, colour, self._label(bar))
                left += width
                for source in sorted(sources[index]):
                    printed = next(each for each in bar.printed if each.source == source)
                    _draw_hollow(axes, left + width / 2, width, printed, info.scale, colour)
                    left += width
        labels = [words(group[0].place[self.x]) if self.x and group else "" for group in groups]
        room = _LETTERS / (2 if self.panels else 1) / max(len(labels), 1)
        is_long = any(len(one) + len(other) > 2 * room for one, other in pairwise(labels))
        axes.set_xticks(range(len(labels)), labels, rotation=30 if is_long else 0, ha="right" if is_long else "center")
        axes.set_xlim(-0.5, max(len(labels), 1) - 0.5)
        axes.set_xlabel(words(self.x))
        axes.set_ylabel(info.label)

    def _label(self, bar: Bar) -> str | None:
        label = setting(self.bars, bar.place[self.bars]) if self.bars else ""
        name = value_axis(bar.measure).title if len(self.measures) > 1 else ""
        return ", ".join(filter(None, (label, name))) or None


def _draw_bar(
    axes: Axes, at: float, width: float, found: SeedMean, scale: float, colour: str, label: str | None
) -> None:
    axes.bar(at, scale * found.mean, 0.9 * width, color=colour, alpha=0.75, label=label)
    error = [[max(scale * (found.mean - found.low), 0.0)], [max(scale * (found.high - found.mean), 0.0)]]
    axes.errorbar([at], [scale * found.mean], yerr=error, color=INK, elinewidth=1, capsize=2.5, linestyle="none")


def _draw_hollow(axes: Axes, at: float, width: float, each: Published, scale: float, colour: str) -> None:
    label = IN_PRINT[each.source][1]
    axes.bar(at, scale * each.value, 0.9 * width, fill=False, edgecolor=colour, linewidth=1.2, label=label)
    if each.spread is not None:
        axes.errorbar([at], [scale * each.value], yerr=[scale * each.spread], color=colour, linestyle="none")
