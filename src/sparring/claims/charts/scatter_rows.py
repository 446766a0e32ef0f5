"""Rows of scatter plots over rounds: how samples come to cover the data.

Source: Robust GANs against Dishonest Adversaries, figures 2(b), 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from sparring.claims.charts.base import ClaimChart, Names, as_tuple
from sparring.claims.charts.cell_grid import SIDE, GridRow, grid_svg
from sparring.claims.charts.seed_means import places_on, values_at
from sparring.claims.charts.value_axis import setting
from sparring.claims.results import ClaimValues
from sparring.claims.values import Labels, Points
from sparring.core.pieces import piece
from sparring.report.charts import BLUE, VERMILLION
from sparring.report.format import number
from sparring.report.read import Floats

_COLUMNS = 6
_DOTS = 300
"""Dots of a picture, at most."""
_FRAME = f'<rect width="{SIDE}" height="{SIDE}" fill="#fff" stroke="#dcdcd6"/>'


@dataclass(frozen=True)
class ScatterRow:
    """The samples of one game.

    Args:
        label: of the row.
        seed: of the game.
        at: rounds.
        points: `(samples, 2)` for each round.
    """

    label: str
    seed: int
    at: tuple[float, ...]
    points: tuple[Floats, ...]


@piece("scatter_rows")
class ScatterRows(ClaimChart):
    """A row for each label, a column for each place: the first seed that has points.

    Args:
        y: a measure of points.
        rows: one axis, or two.
        reference: a measure of points that are drawn behind, as real samples.
    """

    y: str
    rows: str | Names = ""
    reference: str = ""

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.y, self.reference)))

    @property
    def axes(self) -> tuple[str, ...]:
        return as_tuple(self.rows)

    @property
    def caption(self) -> str:
        behind = " Blue: the data." if self.reference else ""
        return f"Samples of the first seed.{behind} Columns are rounds; samples beyond the frame are counted."

    def scatters(self, values: ClaimValues) -> list[ScatterRow]:
        """What is drawn, without rows that have no points."""
        found = []
        for place in row_places(values, as_tuple(self.rows)):
            label = row_label(place)
            for seed, several in sorted(values_at(values, self.y, place).items()):
                first = several[0]
                if isinstance(first, Points):
                    points = tuple(np.asarray(each, dtype=np.float64).reshape(-1, 2) for each in first.points)
                    found.append(ScatterRow(label, seed, first.at, points))
                    break
        return found

    def drawn(self, values: ClaimValues, key: str) -> str:
        rows, reference = self.scatters(values), self._reference(values)
        frame = frame_of([reference] if len(reference) else [each for row in rows for each in row.points])
        places = _chosen(sorted({at for row in rows for at in row.at}))
        behind = _dots(reference, frame, BLUE)
        return grid_svg(key, [_grid_row(row, places, frame, behind) for row in rows], len(places))

    def _reference(self, values: ClaimValues) -> Floats:
        """The first points that are drawn behind; none without a measure of them."""
        for several in values_at(values, self.reference, {}).values() if self.reference else ():
            for each in several:
                if isinstance(each, Points) and each.points:
                    return np.asarray(each.points[-1], dtype=np.float64).reshape(-1, 2)
        return np.zeros((0, 2))


def row_places(values: ClaimValues, axes: tuple[str, ...]) -> list[Labels]:
    """Every combination of labels of these axes that some cell has."""
    combined = [
        {name: label for place in each for name, label in place.items()}
        for each in product(*(places_on(values, axis) for axis in axes))
    ]
    return [place for place in combined if any(place.items() <= cell.labels.items() for cell in values.cells)]


def row_label(place: Labels) -> str:
    """The labels of a row as text."""
    return ", ".join(setting(axis, label) for axis, label in place.items())


def frame_of(clouds: list[Floats]) -> tuple[float, float, float]:
    """Centre and half a side of the square that is drawn.

    It holds the points between the 2nd and the 98th percentile of both coordinates, with a quarter of their range
    around: points far away do not shrink the others.
    """
    known = [cloud[np.isfinite(cloud).all(axis=1)] for cloud in clouds]
    points = np.concatenate(known) if known else np.zeros((0, 2))
    if not len(points):
        return 0.0, 0.0, 1.0
    low, high = np.percentile(points, [2, 98], axis=0)
    half = float((high - low).max()) / 2 or 1.0
    x, y = (low + high) / 2
    return float(x), float(y), 1.5 * half


def inside(points: Floats, frame: tuple[float, float, float]) -> Floats:
    """The points in the frame `(n, 2)`."""
    x, y, half = frame
    return points[np.all(np.abs(points - (x, y)) <= half, axis=1)]


def _chosen(places: list[float]) -> list[float]:
    """Places at equal distances in their order, the last among them."""
    kept = np.unique(np.linspace(0, len(places) - 1, min(len(places), _COLUMNS)).round().astype(int))
    return [places[index] for index in kept]


def _grid_row(row: ScatterRow, places: list[float], frame: tuple[float, float, float], behind: str) -> GridRow:
    pictures, notes = list[str](), list[str]()
    for place in places:
        if place not in row.at:
            pictures.append("")
            notes.append("")
            continue
        points = row.points[row.at.index(place)]
        outside = len(points) - len(inside(points, frame))
        pictures.append(_FRAME + behind + _dots(points, frame, VERMILLION))
        notes.append(number(place) + (f", {outside:,} outside" if outside else ""))
    return GridRow(row.label, SIDE, tuple(pictures), tuple(notes))


def _dots(points: Floats, frame: tuple[float, float, float], colour: str) -> str:
    """Points in the frame as one path of round dots."""
    x, y, half = frame
    near = inside(points, frame)
    kept = near[np.unique(np.linspace(0, len(near) - 1, min(len(near), _DOTS)).round().astype(int))]
    across, down = (SIDE * (0.5 + sign * (kept[:, i] - (x, y)[i]) / (2 * half)) for i, sign in ((0, 1), (1, -1)))
    path = "".join(f"M{left:.1f} {top:.1f}h0" for left, top in zip(across, down, strict=True))
    look = f'style="stroke-linecap:round" stroke="{colour}" stroke-width="2" stroke-opacity="0.6" fill="none"'
    return f'<path d="{path}" {look}/>' if path else ""
