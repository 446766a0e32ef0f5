"""The drawing of a game on a line, as an SVG data URI: both densities, D as a curve, arrows of G's gradient.

Source: the course notes, figures 1 and 2.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from sparring.report.charts import BLUE, GREEN, GREY, INK, VERMILLION
from sparring.report.format import number
from sparring.report.read import Arrays, Floats

LINE_ARRAYS = ("edges", "real", "generated", "places", "score", "starts", "gradient")
LINE_SIZE = (560, 350)
"""Width and height of a drawing."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 500, 14, 222
"""Edges of the plot of densities and D."""
_ROWS, _FIRST_ROW, _ROW = 5, 238, 15
"""Rows of arrows below it, the first one's height, and the distance between two."""
_AXIS = 316
_HEAD = 6
"""Length of an arrow's head; shorter arrows have none."""
_ROOM = 1.5
"""The height of the plot, as a multiple of the highest real density. Higher bars are cut off."""


@dataclass(frozen=True)
class LinePicture:
    """One game at one round, as `monitoring.line_picture.line_arrays` describes it."""

    edges: Floats
    real: Floats
    generated: Floats
    places: Floats
    score: Floats
    starts: Floats
    gradient: Floats


def line_of(arrays: Arrays, game: int) -> LinePicture:
    """One game of the arrays of a file."""
    shared = {name: arrays[name] for name in ("edges", "real", "places")}
    of_game = {name: arrays[name][game] for name in ("generated", "score", "starts", "gradient")}
    return LinePicture(**{name: values.astype(np.float64) for name, values in (shared | of_game).items()})


def line_drawing(line: LinePicture, *, is_critic: bool) -> str:
    """The drawing as a data URI.

    Densities share one scale, in which 1 is _ROOM times the highest real density. D is drawn as its probability, from
    0 to 1, and a critic as its score, from its least to its greatest value in the picture. An arrow leads from a
    generated sample x to x + the gradient of G's payoff at x, and ends at the edge of the picture if that is nearer.

    Args:
        line: what is drawn.
        is_critic: whether D is the critic of a Wasserstein GAN.
    """
    low, high = float(line.edges[0]), float(line.edges[-1])
    top = _ROOM * float(line.real.max()) or 1.0
    parts = [
        _bars(line.edges, line.real / top, BLUE),
        _bars(line.edges, line.generated / top, VERMILLION),
        _discriminator(line, is_critic=is_critic),
        *_arrows(line.starts, line.gradient, low, high),
        *_frame(low, high),
    ]
    width, height = LINE_SIZE
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="15" fill="{INK}">{"".join(parts)}</svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _bars(edges: Floats, heights: Floats, colour: str) -> str:
    """A density as one filled outline."""
    x = np.repeat(_across(edges, float(edges[0]), float(edges[-1])), 2)
    y = _up(np.concatenate([[0.0], np.repeat(heights.clip(0, 1), 2), [0.0]]))
    return f'<polygon points="{_points(x, y)}" fill="{colour}" fill-opacity="0.35" stroke="{colour}"/>'


def _discriminator(line: LinePicture, *, is_critic: bool) -> str:
    """D's curve, with the labels of its axis on the right."""
    score = np.nan_to_num(line.score)
    if is_critic:
        least, greatest = float(score.min()), float(score.max())
        share = (score - least) / max(greatest - least, 1e-30)
        labels = {0.0: number(least), 1.0: number(greatest)}
    else:
        share = 1 / (1 + np.exp(-score.clip(-500, 500)))
        labels = {0.0: "0", 0.5: "0.5", 1.0: "1"}
    x = _across(line.places, float(line.edges[0]), float(line.edges[-1]))
    texts = [
        f'<text x="{_RIGHT + 5}" y="{y + 5:.1f}" fill="{GREEN}">{label}</text>'
        for y, label in zip(_up(np.array(list(labels))), labels.values(), strict=True)
    ]
    curve = f'<polyline points="{_points(x, _up(share))}" fill="none" stroke="{GREEN}" stroke-width="2.5"/>'
    return "".join([curve, *texts])


def _arrows(starts: Floats, gradient: Floats, low: float, high: float) -> list[str]:
    """Dots at generated samples with arrows along the gradient, in rows so that neighbours do not overlap."""
    ends = (starts + np.nan_to_num(gradient)).clip(low, high)
    drawn = []
    for index, (start, end) in enumerate(zip(_across(starts, low, high), _across(ends, low, high), strict=True)):
        y = _FIRST_ROW + _ROW * (index % _ROWS)
        if not _LEFT <= start <= _RIGHT:
            continue
        drawn.append(f'<circle cx="{start:.1f}" cy="{y}" r="2.5" fill="{VERMILLION}"/>')
        if abs(end - start) >= _HEAD:
            back = end - _HEAD * np.sign(end - start)
            path = f"M{start:.1f} {y}H{end:.1f}M{back:.1f} {y - 4}L{end:.1f} {y}L{back:.1f} {y + 4}"
            drawn.append(f'<path d="{path}" fill="none" stroke="{VERMILLION}" stroke-width="2"/>')
    return drawn


def _frame(low: float, high: float) -> list[str]:
    """The axes, the tick labels of the line, and the names of the other two axes."""
    lines = [f'<path d="M{_LEFT} {height}H{_RIGHT}" stroke="{GREY}"/>' for height in (_BOTTOM, _AXIS)]
    ticks = np.linspace(low, high, 5)
    texts = [
        f'<text x="{x:.1f}" y="{_AXIS + 20}" text-anchor="middle">{number(round(float(tick), 2))}</text>'
        for tick, x in zip(ticks, _across(ticks, low, high), strict=True)
    ]
    middle = (_TOP + _BOTTOM) // 2
    names = [
        f'<text x="{x}" y="{middle}" text-anchor="middle" fill="{colour}" '
        f'transform="rotate(-90 {x} {middle})">{name}</text>'
        for x, name, colour in ((_LEFT - 12, "density", INK), (LINE_SIZE[0] - 8, "D", GREEN))
    ]
    return [*lines, *texts, *names]


def _across(values: Floats, low: float, high: float) -> Floats:
    """Places on the line as horizontal places in the drawing."""
    return _LEFT + (values - low) / (high - low) * (_RIGHT - _LEFT)


def _up(shares: Floats) -> Floats:
    """Shares of the plot's height as vertical places in the drawing."""
    return _BOTTOM - shares * (_BOTTOM - _TOP)


def _points(x: Floats, y: Floats) -> str:
    return " ".join(f"{across:.1f},{down:.1f}" for across, down in zip(x, y, strict=True))
