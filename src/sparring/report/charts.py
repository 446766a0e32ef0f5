"""A chart, mostly over rounds, as an inline SVG: data in, string out, the same bytes every time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sparring.core.errors import printable
from sparring.report.read import Floats, Run

BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#AA4C85", "#B87700"
INK, GREY = "#222222", "#767676"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, "#4C9CC9", INK)
"""The Okabe-Ito colours, its light ones darkened for a white card; blue is real, vermillion generated."""

DASHES = ("-", "--", ":", "-.")
LEGEND = 44
"""Up to this many letters a legend takes one row."""
LONGEST = 80
"""Letters of any text in a chart."""
FEW = 30
"""Up to this many points a line shows them."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sparring",
    "text.parse_math": False,
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "path.simplify_threshold": 0.3,
}


@dataclass(frozen=True)
class Line:
    """One quantity over rounds: a thin line for each game and a bold one for their mean.

    Args:
        label: in the legend.
        steps: `(n)`.
        values: `(n, games)`.
        colour: of all its lines.
        dash: of the bold line.
        alone: draw the mean only.
        band: `(n, 2)`, an interval around the mean; None without one.
        width: of the bold line, in points.
    """

    label: str
    steps: Floats
    values: Floats
    colour: str
    dash: str = "-"
    alone: bool = False
    band: Floats | None = None
    width: float = 2.0


def lines_of(run: Run, name: str, colour: str, label: str, scale: float = 1.0, dash: str = "-") -> tuple[Line, ...]:
    """The line of a logged number, scaled; none if it was never logged."""
    series = run.series(name)
    return () if series is None else (Line(label, series.steps, series.values * scale, colour, dash),)


@dataclass(frozen=True)
class Mark:
    """A horizontal line to compare with."""

    value: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart over rounds, or over another quantity.

    Args:
        key: unique on the page.
        title: above it.
        caption: what to look for.
        unit: the label of its value axis.
        lines: what is drawn.
        marks: horizontal lines.
        limits: of the value axis; None leaves an end to the data.
        is_log: a logarithmic value axis.
        across: the label of the other axis.
        whole: whether that axis counts in whole numbers.
        height: in inches, of a width of 4.4.
    """

    key: str
    title: str
    caption: str
    unit: str
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...] = ()
    limits: tuple[float | None, float | None] = (None, None)
    is_log: bool = False
    across: str = "round"
    whole: bool = True
    height: float = 2.9

    def svg(self) -> str:
        """The chart as an inline SVG element."""
        with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the reader's browser has it
            figure = Figure(figsize=(4.4, self.height), layout="constrained")
            axes = figure.add_subplot()
            for line in self.lines:
                _draw(axes, line, is_log=self.is_log)
            for mark in self.marks:
                axes.axhline(mark.value, color=INK, linewidth=1, dashes=(5, 3), label=_legible(mark.label))
            self._dress(axes)
            handles, labels = axes.get_legend_handles_labels()
            columns = 2 if sum(map(len, labels)) > LEGEND else 4
            figure.legend(
                handles, labels, loc="outside upper left", ncols=columns, frameon=False, fontsize=8, handlelength=1.8
            )
            out = io.StringIO()
            figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return _inline(out.getvalue(), self.key, self.title)

    def _dress(self, axes: Axes) -> None:
        axes.set_xlabel(_legible(self.across))
        axes.set_ylabel(_legible(self.unit))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=self.whole))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.0f}" if self.whole else f"{at:g}"))
        axes.margins(x=0.02)
        if self.is_log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        low, high = self.limits
        axes.set_ylim(bottom=low, top=high)
        if self.is_log:
            bottom, top = axes.get_ylim()
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if top < 100 * bottom else (1.0,)))


def _legible(text: str) -> str:
    """A text that a chart has room for; an underscore in front would hide it from a legend."""
    shown = printable(text, LONGEST)
    return f" {shown}" if shown.startswith("_") else shown


def _draw(axes: Axes, line: Line, *, is_log: bool) -> None:
    values = np.where(line.values > 0, line.values, np.nan) if is_log else line.values
    marker = "o" if len(line.steps) <= FEW else ""
    if values.shape[1] > 1 and not line.alone:
        axes.plot(line.steps, values, color=line.colour, alpha=0.5, linewidth=0.9)
    if line.band is not None:
        axes.fill_between(line.steps, *line.band.T, color=line.colour, alpha=0.1, linewidth=0)
    mean = np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.nan for row in values])
    axes.plot(
        line.steps,
        mean,
        color=line.colour,
        linewidth=line.width,
        linestyle=line.dash,
        marker=marker,
        markersize=2.5,
        label=_legible(line.label),
    )


def _inline(document: str, key: str, title: str) -> str:
    """Only the svg element, with ids of its own on the page and nothing that names another address."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", svg, count=2)
    used = set(_references(svg))
    svg = re.sub(r'\sid="([^"]*)"', lambda found: f' id="{key}-{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r"url\(#|href=\"#", lambda found: f"{found[0]}{key}-", svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    return svg.replace("<svg", f'<svg role="img" aria-labelledby="{key}-title"', 1) if title else svg


def _references(svg: str) -> Iterator[str]:
    for found in re.finditer(r"url\(#([^)]*)\)|href=\"#([^\"]*)\"", svg):
        yield found[1] or found[2]
