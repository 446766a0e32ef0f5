"""A chart as an inline SVG, the same bytes every time."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sparring.core.errors import UsageError
from sparring.core.files import write_whole
from sparring.report.read import Floats

BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#AA4C85", "#B87700"
INK, GREY = "#222222", "#767676"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, "#4C9CC9", INK)
COLOURS = {"blue": BLUE, "vermillion": VERMILLION, "green": GREEN, "purple": PURPLE, "ink": INK, "grey": GREY}
"""The Okabe-Ito colours, the light ones darkened for a white background; blue is real, vermillion generated."""

DASHES = ("-", "--", ":", "-.")
PICTURES = ("svg", "png", "pdf")
"""Endings of a file that a chart is saved in."""
DISTINCT = 2 * len(CYCLE)
"""Up to this many runs share a chart."""
SIZE, SMALL = (4.4, 2.9), (2.8, 2.2)
"""Width and height of a chart in inches; of the small ones two stand side by side on a telephone."""
_LEGEND = 44
"""Labels of more letters than this in total take two columns."""
_LETTER, _HANDLE = 4.0, 22.0
"""Points of a letter in a legend, and of what stands before a label."""
_UNIT, _AROUND = 20, 1.1
"""Letters of a unit in an inch of the value axis, and inches of a chart above and below that axis."""
_HEADROOM = 0.06
"""The share of an axis above its data."""
_WIDE = 1000
"""On a linear axis, values that are so many times smaller than the largest one look like 0."""
_FEW = 30
"""A curve of at most this many points shows them."""

_SVG_DPI = 72
"""A unit of an SVG of matplotlib is a point."""
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
class Curve:
    """One quantity over rounds: a thin line for each game and a bold one for their mean.

    Args:
        label: in the legend.
        steps: `(n)`.
        values: `(n, games)`.
        colour: of all its lines.
        dash: of the bold line.
        mean_only: draw no thin lines.
        band: `(n, 2)`, an interval around the mean; None without one.
        width: of the bold line, in points.
    """

    label: str
    steps: Floats
    values: Floats
    colour: str
    dash: str = "-"
    mean_only: bool = False
    band: Floats | None = None
    width: float = 2.0


@dataclass(frozen=True)
class Mark:
    """A horizontal line to compare with."""

    value: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart over rounds or another quantity.

    Args:
        key: unique on the page.
        title: above it.
        caption: what to look for.
        unit: the label of its value axis.
        curves: what is drawn.
        marks: horizontal lines.
        limits: of the value axis; None leaves an end to the data.
        is_log: a logarithmic value axis; its label says so.
        across: the label of the horizontal axis.
        is_whole: whether that axis has whole numbers.
        size: width and height in inches.
        name: what it draws, the same on every page.
    """

    key: str
    title: str
    caption: str
    unit: str
    curves: tuple[Curve, ...]
    marks: tuple[Mark, ...] = ()
    limits: tuple[float | None, float | None] = (None, None)
    is_log: bool = False
    across: str = "round"
    is_whole: bool = True
    size: tuple[float, float] = SIZE
    name: str = ""

    def svg(self) -> str:
        """The chart as an inline SVG element."""
        with drawing_style():
            return inline_svg(self._figure(), self.key)

    def png(self) -> str:
        """The chart as a PNG data URI."""
        drawn = self._saved("png", dpi=144, metadata={"Software": None})
        return f"data:image/png;base64,{base64.b64encode(drawn).decode()}"

    def save(self, path: Path) -> None:
        """Write the chart into a picture of its own.

        Raises:
            UsageError: another ending than .svg, .png or .pdf.
            StorageError: the disk refused.
        """
        kind = path.suffix.removeprefix(".")
        if kind not in PICTURES:
            raise UsageError(f"{path}: should end in .{', .'.join(PICTURES)}", "choose one of them")
        write_whole(path, self._saved(kind, dpi=200))

    def _saved(self, kind: str, **options: Any) -> bytes:
        out = io.BytesIO()
        with drawing_style():
            self._figure().savefig(out, format=kind, **options)
        return out.getvalue()

    def _figure(self) -> Figure:
        figure = Figure(figsize=self.size, layout="constrained")
        axes = figure.add_subplot()
        for curve in self.curves:
            _draw(axes, curve, is_log=self.is_log)
        for mark in self.marks:
            axes.axhline(mark.value, color=INK, linewidth=1, dashes=(5, 3), label=mark.label)
        self._dress(axes)
        handles, labels = axes.get_legend_handles_labels()
        fitting = int(72 * self.size[0] / (_HANDLE + _LETTER * max(map(len, labels), default=0)))
        columns = max(1, min(2 if sum(map(len, labels)) > _LEGEND else 4, fitting))
        figure.legend(
            handles, labels, loc="outside upper left", ncols=columns, frameon=False, fontsize=8, handlelength=1.5,
            columnspacing=1.0, borderpad=0.1, labelspacing=0.3,
        )  # fmt: skip
        return figure

    def _dress(self, axes: Axes) -> None:
        axes.set_xlabel(self.across)
        unit = f"{self.unit} (log)" if self.is_log else self.unit
        axes.set_ylabel(fill(unit, int(_UNIT * (self.size[1] - _AROUND))))
        axes.xaxis.set_major_locator(MaxNLocator(int(self.size[0]) + 1, integer=self.is_whole))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.0f}" if self.is_whole else f"{at:g}"))
        axes.margins(x=0.02)
        if self.is_log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        low, high = self.limits
        low = None if self.is_log and low == 0 else low
        top = axes.dataLim.y1
        if high is None and low is not None and np.isfinite(top) and top > low and not self.is_log:
            high = top + _HEADROOM * (top - low)
        axes.set_ylim(bottom=low, top=high)
        if self.is_log:
            bottom, top = axes.get_ylim()
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if top < 100 * bottom else (1.0,)))


def spans_decades(values: Iterable[Floats]) -> bool:
    """Whether all values are positive and one is over 1,000 times another, as where one game of several is lost."""
    finite = np.concatenate([np.empty(0), *(each[np.isfinite(each)] for each in values)])
    return bool(finite.size and finite.min() > 0 and finite.max() > _WIDE * finite.min())


def _draw(axes: Axes, curve: Curve, *, is_log: bool) -> None:
    values = np.where(curve.values > 0, curve.values, np.nan) if is_log else curve.values
    marker = "o" if len(curve.steps) <= _FEW else ""
    if values.shape[1] > 1 and not curve.mean_only:
        axes.plot(curve.steps, values, color=curve.colour, alpha=0.5, linewidth=0.9)
    if curve.band is not None:
        axes.fill_between(curve.steps, *curve.band.T, color=curve.colour, alpha=0.15, linewidth=0)
    mean = np.array([row[np.isfinite(row)].mean() if np.isfinite(row).any() else np.nan for row in values])
    axes.plot(
        curve.steps,
        mean,
        color=curve.colour,
        linewidth=curve.width,
        linestyle=curve.dash,
        marker=marker,
        markersize=2.5,
        label=curve.label,
    )


@contextmanager
def drawing_style() -> Iterator[None]:
    """Settings of matplotlib under which every chart is drawn."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser has it
        yield


def inline_svg(figure: Figure, key: str) -> str:
    """A figure as an inline svg element, with ids that are unique on the page and without addresses."""
    figure.set_dpi(_SVG_DPI)
    FigureCanvasSVG(figure)  # its letters have the sizes by which the layout goes
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
    figure.set_layout_engine(None)  # else matplotlib draws everything once more, for the layout alone
    out = io.BytesIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    document = out.getvalue().decode()
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", svg, count=2)
    used = {found[1] or found[2] for found in re.finditer(r"url\(#([^)]*)\)|href=\"#([^\"]*)\"", svg)}
    svg = re.sub(r'\sid="([^"]*)"', lambda found: f' id="{key}-{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r"url\(#|href=\"#", lambda found: f"{found[0]}{key}-", svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    return svg.replace("<svg", f'<svg role="img" aria-labelledby="{key}-title"', 1)
