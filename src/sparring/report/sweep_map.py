"""The map of a sweep's grid: every final number over the keys that varied, its mean over seeds.

Over two keys it is a heat map, over more of them one for each combination of the others, and over one number a line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np

from sparring.core.intervals import student, wilson
from sparring.report import format as words
from sparring.report.charts import VERMILLION, Chart, Line
from sparring.report.curves import HIDDEN
from sparring.report.metric_info import OF_D, PRIMARY, Measure, measure_of
from sparring.sweeps.grid import assignments, table_value
from sparring.sweeps.table import CellResult

Values = tuple[Any, ...]
Settings = tuple[tuple[str, Any], ...]
"""Keys with a value each."""
SHEETS = 8
"""Numbers that are mapped, at most."""
_SUCCESS = "success"


@dataclass(frozen=True)
class Tile:
    """A number of a map: its mean in words, what is to be known of it, and its shade from 0 to 1; None without one."""

    shown: str
    note: str
    shade: float | None


@dataclass(frozen=True)
class GridMap:
    """A number over two keys, for one value of all others.

    Args:
        given: the other keys with their values.
        row_key, column_key: what varies; empty where nothing does.
        rows, columns: their values.
        cells: by row.
    """

    given: Settings
    row_key: str
    column_key: str
    rows: Values
    columns: Values
    cells: tuple[tuple[Tile, ...], ...]


@dataclass(frozen=True)
class Sheet:
    """The maps of one number."""

    title: str
    caption: str
    maps: tuple[GridMap, ...]


@dataclass(frozen=True)
class Missing:
    """A cell that is not complete, and why."""

    index: int
    settings: str
    status: str
    reason: str


@dataclass(frozen=True)
class Atlas:
    """A grid: lines over its only key where that is a number, else maps; and the cells that have no numbers."""

    told: str
    charts: tuple[Chart, ...]
    sheets: tuple[Sheet, ...]
    missing: tuple[Missing, ...]


def atlas_of(found: Sequence[CellResult]) -> Atlas:
    """The maps of what came out of a grid, the number that tells most first."""
    whole = [result for result in found if result.metrics]
    names = dict.fromkeys(name for result in whole for name in result.metrics)
    seen = [name for name in names if name not in (HIDDEN - {_SUCCESS}) | OF_D | {"steps_to_success"}]
    constant = {name for name in seen if len({result.metrics.get(name) for result in whole}) == 1}
    ordered = sorted(seen, key=lambda name: (name in constant, name != _SUCCESS, name not in PRIMARY))
    keys = [key for key in (found[0].cell.settings if found else {}) if key != "seed"]
    values = {key: tuple(dict.fromkeys(table_value(result.cell.settings[key]) for result in found)) for key in keys}
    missing = tuple(
        Missing(result.cell.index, assignments(result.cell.settings), result.status, result.reason)
        for result in found
        if result.status != "complete"
    )
    measures = [measure_of(name) for name in ordered[:SHEETS]]
    if len(keys) == 1 and all(_is_number(value) for value in values[keys[0]]):
        places = sorted(values[keys[0]])
        lines = [_line(found, keys[0], places, each, f"grid-{at}") for at, each in enumerate(measures)]
        return Atlas(_told(found, keys), tuple(lines), (), missing)
    return Atlas(_told(found, keys), (), tuple(_sheet(found, values, each) for each in measures), missing)


def _told(found: Sequence[CellResult], keys: Sequence[str]) -> str:
    done = sum(result.status == "complete" for result in found)
    seeds = {result.cell.recipe.seed for result in found}
    over = [f"over {', '.join(keys)}"] if keys else []
    each = [f"{len(seeds):,} seeds"] if len(seeds) > 1 else []
    return f"{'; '.join([f'{done:,} of {len(found):,} cells are complete', *over, *each])}."


def _sheet(found: Sequence[CellResult], values: dict[str, Values], measure: Measure) -> Sheet:
    keys = list(values)
    rest = sorted(keys, key=lambda axis: -len(values[axis]))
    axes = [*sorted(rest[:2], key=keys.index), "", ""][:2]
    others = [axis for axis in keys if axis not in axes]
    scale = _Scale(found, keys, measure)

    def tile(settings: Settings) -> Tile:
        return scale.tile(_numbers(found, measure.name, settings))

    maps = tuple(
        _map(tuple(zip(others, given, strict=True)), axes, values, tile)
        for given in product(*(values[axis] for axis in others))
    )
    return Sheet(measure.title, scale.caption, maps)


def _map(given: Settings, axes: Sequence[str], values: dict[str, Values], tile: Callable[[Settings], Tile]) -> GridMap:
    (row_key, column_key), (rows, columns) = axes, [values.get(axis, ("",)) for axis in axes]

    def at(row: Any, column: Any) -> Settings:
        return (*given, *((axis, value) for axis, value in ((row_key, row), (column_key, column)) if axis))

    cells = tuple(tuple(tile(at(row, column)) for column in columns) for row in rows)
    return GridMap(given, row_key, column_key, rows, columns, cells)


def _line(found: Sequence[CellResult], key: str, places: Sequence[float], measure: Measure, chart: str) -> Chart:
    games = [[measure.scale * value for value in _numbers(found, measure.name, ((key, place),))] for place in places]
    width = max(map(len, games))
    values = np.array([[*each, *[np.nan] * (width - len(each))] for each in games]).reshape(len(places), width)
    bounds = [_interval(measure, [value / measure.scale for value in each]) for each in games]
    band = np.array([[np.nan] * 2 if each is None else [measure.scale * bound for bound in each] for each in bounds])
    many = width > 1
    label = "mean over seeds, with its 95 % interval" if many else "one seed"
    line = Line(label, np.array(places, float), values, VERMILLION, band=band if many else None)
    highest = 100.0 if measure.is_share else 1.0 if measure.name == _SUCCESS else None
    whole = all(isinstance(place, int) for place in places)
    look = f"Final values of all games, by {key}."
    limits = (measure.lowest, highest)
    return Chart(chart, measure.title, look, measure.unit, (line,), (), limits, across=key, whole=whole)


class _Scale:
    """The shades of one number, the same in all of its maps: the darker the better, where one can tell."""

    def __init__(self, found: Sequence[CellResult], keys: Sequence[str], measure: Measure) -> None:
        settings = {tuple(table_value(result.cell.settings[key]) for key in keys) for result in found}
        cells = [_numbers(found, measure.name, tuple(zip(keys, each, strict=True))) for each in settings]
        means = [fmean(each) for each in cells if each]
        self._measure, self._many = measure, any(len(each) > 1 for each in cells)
        self._is_share = measure.is_share or measure.name == _SUCCESS
        self._low, self._high = (0.0, 1.0) if self._is_share else (min(means), max(means)) if means else (0.0, 0.0)

    @property
    def caption(self) -> str:
        """How to read it."""
        measure, ends = self._measure, [self._low, self._high]
        direction = "better" if measure.better else "more"
        what = "Means over seeds, with their 95 % intervals where seeds differ; the" if self._many else "The"
        if measure.name == _SUCCESS:
            what = "Games that succeeded of all games, with the Wilson 95 % interval; the"
        shown = [words.share(end) if self._is_share else words.number(end) for end in ends]
        white, dark = reversed(shown) if measure.better == "lower" else shown
        shades = f", from {white} (white) to {dark}; see whether intervals overlap" if self._low < self._high else ""
        return f"{what} darker, the {direction}{shades}."

    def tile(self, numbers: Sequence[float]) -> Tile:
        """The tile of one setting, from the numbers of its seeds."""
        if not numbers:
            return Tile("", "", None)
        measure, mean, bounds = self._measure, fmean(numbers), _interval(self._measure, numbers)
        share = (mean - self._low) / (self._high - self._low) if self._high > self._low else 0.0
        shade = 1 - share if measure.better == "lower" else share
        if measure.name == _SUCCESS:
            shown = f"{sum(numbers):.0f}/{len(numbers)}"
        else:
            shown = words.share(mean) if measure.is_share else words.number(mean)
        return Tile(shown, _span(measure, bounds), min(max(shade, 0.0), 1.0))


def _numbers(found: Sequence[CellResult], name: str, settings: Settings) -> list[float]:
    """A number of every cell with these settings that has it."""
    return [
        float(number.value)
        for result in found
        if all(table_value(result.cell.settings[key]) == value for key, value in settings)
        and (number := result.metrics.get(name))
        and number.value is not None
    ]


def _interval(measure: Measure, numbers: Sequence[float]) -> tuple[float, float] | None:
    """Of the mean over seeds; None with one seed, and where seeds that are all equal tell nothing of their spread."""
    if len(numbers) < 2:
        return None
    if measure.name == _SUCCESS:
        return wilson(round(sum(numbers)), len(numbers))
    if len(set(numbers)) == 1:
        return None
    low, high = student(numbers)
    low = low if measure.lowest is None else max(low, measure.lowest)
    return low, min(high, 1.0) if measure.is_share else high


def _span(measure: Measure, bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return ""
    is_share = measure.is_share or measure.name == _SUCCESS
    return words.interval(bounds) if is_share else f"[{words.number(bounds[0])}, {words.number(bounds[1])}]"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
