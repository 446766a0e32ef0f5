"""Maps of final numbers over the keys that vary between cells, means over seeds.

Over two keys a map is a table, over more keys one for each combination of the others; over one numeric key it is a
line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np

from sparring.core.intervals import percent
from sparring.report.charts import VERMILLION, Chart, Curve
from sparring.report.comparison import map_settings
from sparring.report.format import NONE, number, plain, share_interval
from sparring.report.metric_info import (
    FIRST_SUCCESS,
    OF_D,
    PRIMARY,
    SUCCESS,
    MetricInfo,
    hidden,
    metric_info,
)
from sparring.report.read import RunRecord
from sparring.report.seed_mean import seed_interval
from sparring.runs.schema import Estimate, Number
from sparring.sweeps.grid import table_value
from sparring.sweeps.table import CellResult

Settings = tuple[tuple[str, Any], ...]
"""Keys with a value each."""
_SHEETS = 8
"""Metrics that are mapped, at most."""
_FIRST = ((SUCCESS,), PRIMARY, (FIRST_SUCCESS,), ("diverged",))
"""Metrics in order of their importance; all others follow."""


@dataclass(frozen=True)
class MapCell:
    """A cell of a sweep, or a run: its settings, and values by metric, one for each game; None where it has none."""

    settings: Mapping[str, Any]
    numbers: Mapping[str, Sequence[Number]]


@dataclass(frozen=True)
class Tile:
    """A mean on a map as text, its interval, and its shade from 0 to 1; None without a number."""

    shown: str
    detail: str
    shade: float | None


@dataclass(frozen=True)
class MapSheet:
    """The maps of one metric over two keys, on one scale of shades.

    Args:
        title, caption: of the sheet.
        row_key, column_key: what varies; empty if nothing does.
        rows, columns: their values.
        maps: for each combination of the other keys, these keys with their values, and tiles by row.
    """

    title: str
    caption: str
    row_key: str
    column_key: str
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]
    maps: tuple[tuple[Settings, tuple[tuple[Tile, ...], ...]], ...]


@dataclass(frozen=True)
class SweepMap:
    """A sweep: its keys and seeds, lines over its only key if that is numeric, else maps, and its cells."""

    keys: tuple[str, ...]
    seeds: int
    charts: tuple[Chart, ...]
    sheets: tuple[MapSheet, ...]
    complete: tuple[CellResult, ...]
    missing: tuple[CellResult, ...]


def sweep_map(results: Sequence[CellResult]) -> SweepMap:
    """The maps of a sweep, the most important metric first."""
    has_diverged = any("diverged" in result.metrics for result in results)
    cells = [_cell(result, ("diverged",) if has_diverged else ()) for result in results]
    names = dict.fromkeys(name for cell in cells for name in cell.numbers)
    shown = [name for name in names if name not in (hidden(names) - {SUCCESS}) | OF_D]
    trained = [cell for cell in cells if cell.numbers]
    constant = {name for name in shown if len({tuple(cell.numbers.get(name, ())) for cell in trained}) == 1}
    ordered = sorted(shown, key=lambda name: (name in constant, *(name not in each for each in _FIRST)))
    metrics = [metric_info(name) for name in ordered[:_SHEETS]]
    values = _values(cells)
    key = next(iter(values), "")
    is_line = len(values) == 1 and all(type(value) in (int, float) for value in values[key])
    lines = [_line(cells, key, metric, f"grid-{place}") for place, metric in enumerate(metrics)] if is_line else ()
    return SweepMap(
        keys=tuple(values),
        seeds=len({result.cell.recipe.seed for result in results}),
        charts=tuple(lines),
        sheets=() if is_line else tuple(_sheet(cells, values, metric) for metric in metrics),
        complete=tuple(result for result in results if result.status == "complete"),
        missing=tuple(result for result in results if result.status != "complete"),
    )


def success_sheets(runs: Sequence[RunRecord]) -> tuple[MapSheet, ...]:
    """Maps of successes and of the rounds to the first one, over the keys in which runs that measured them differ.

    None without any such key. A combination of the other keys that no run has is no map.
    """
    runs = [run for run in runs if run.series(SUCCESS)]
    settings = map_settings(runs) if runs else ()
    if not any(settings):
        return ()
    cells = [MapCell(each, _of_success(run)) for each, run in zip(settings, runs, strict=True)]
    ordered = {key: tuple(sorted(found, key=_sort_key)) for key, found in _values(cells).items()}
    return tuple(_played(_sheet(cells, ordered, metric_info(name))) for name in (SUCCESS, FIRST_SUCCESS))


def _played(sheet: MapSheet) -> MapSheet:
    """A sheet without the maps that have no result."""
    shown = [each for each in sheet.maps if any(tile.shade is not None for row in each[1] for tile in row)]
    return replace(sheet, maps=tuple(shown))


def _of_success(run: RunRecord) -> dict[str, Sequence[Number]]:
    series = run.series(SUCCESS)
    return {SUCCESS: series.values[-1].tolist(), FIRST_SUCCESS: run.first_successes} if series else {}


def _cell(result: CellResult, names: Sequence[str]) -> MapCell:
    """A cell of a sweep; if it is complete, it has a value or None for these names too."""
    settings = {key: table_value(value) for key, value in result.cell.settings.items() if key != "seed"}
    absent = dict.fromkeys(names if result.status == "complete" else (), Estimate(None))
    return MapCell(settings, {name: (each.value,) for name, each in (absent | result.metrics).items()})


def _values(cells: Sequence[MapCell]) -> dict[str, tuple[Any, ...]]:
    """The values of every key, in the order of the cells."""
    keys = cells[0].settings if cells else {}
    return {key: tuple(dict.fromkeys(cell.settings[key] for cell in cells)) for key in keys}


def _sort_key(value: Any) -> tuple[int, float, str]:
    """Orders values of a key: absent first, then numbers, then words."""
    if value == NONE:
        return (0, 0.0, "")
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))


def _numbers(cells: Sequence[MapCell], name: str, settings: Settings) -> list[Number]:
    """A metric of all games with these settings."""
    alike = [cell for cell in cells if all(cell.settings[key] == value for key, value in settings)]
    return [value for cell in alike for value in cell.numbers.get(name, ())]


def _known(games: Sequence[Number]) -> list[float]:
    return [float(number) for number in games if number is not None]


def _sheet(cells: Sequence[MapCell], values: Mapping[str, tuple[Any, ...]], metric: MetricInfo) -> MapSheet:
    keys = list(values)
    longest = sorted(keys, key=lambda key: -len(values[key]))[:2]
    row_key, column_key = [*(key for key in keys if key in longest), "", ""][:2]
    others = [key for key in keys if key not in longest]
    rows, columns = (values.get(key, ("",)) for key in (row_key, column_key))
    combinations = (tuple(zip(keys, each, strict=True)) for each in product(*values.values()))
    shades = _Shades(metric, [_numbers(cells, metric.name, each) for each in combinations])

    def tile(*settings: tuple[str, Any]) -> Tile:
        return shades.tile(_numbers(cells, metric.name, tuple(pair for pair in settings if pair[0])))

    maps = []
    for given in (tuple(zip(others, each, strict=True)) for each in product(*(values[key] for key in others))):
        tiles = tuple(tuple(tile(*given, (row_key, row), (column_key, column)) for column in columns) for row in rows)
        maps.append((given, tiles))
    return MapSheet(metric.title, shades.caption, row_key, column_key, rows, columns, tuple(maps))


def _line(cells: Sequence[MapCell], key: str, metric: MetricInfo, chart_key: str) -> Chart:
    places = sorted(_values(cells)[key])
    games = [_numbers(cells, metric.name, ((key, place),)) for place in places]
    width = max(map(len, games))
    filled = [[*each, *[None] * (width - len(each))] for each in games]
    values = np.array(filled, dtype=np.float64).reshape(len(places), width)
    bounds = np.array([seed_interval(metric, _known(each)) or (np.nan, np.nan) for each in games])
    label = "mean over seeds, with its 95 % interval" if width > 1 else "one seed"
    without = [
        f"; {each.count(None)} of {len(each)} {metric.none or 'without'} at {plain(place)}"
        for place, each in zip(places, games, strict=True)
        if None in each
    ]
    caption = f"Final values of all games, by {key}{''.join(without)}."
    curve = Curve(
        label, np.array(places, float), metric.scale * values, VERMILLION,
        band=metric.scale * bounds if width > 1 else None,
    )  # fmt: skip
    highest = 100.0 if metric.is_share else 1.0 if metric.name == SUCCESS else None
    return Chart(
        chart_key, metric.title, caption, metric.unit, (curve,), (),
        (metric.lowest, highest), across=key, is_whole=all(isinstance(place, int) for place in places),
    )  # fmt: skip


class _Shades:
    """The shades of one metric, the same on all its maps: the darker the better, if there is a better direction."""

    def __init__(self, metric: MetricInfo, groups: Sequence[Sequence[Number]]) -> None:
        means = [fmean(known) for group in groups if (known := _known(group))]
        self._metric, self._has_seeds = metric, any(len(group) > 1 for group in groups)
        self._is_share = metric.is_share or metric.name == SUCCESS
        self._low, self._high = (0.0, 1.0) if self._is_share else (min(means), max(means)) if means else (0.0, 0.0)

    @property
    def caption(self) -> str:
        """How to read the maps."""
        metric, ends = self._metric, [self._shown(self._low), self._shown(self._high)]
        what = "Means over seeds, with their 95 % intervals if seeds differ; the" if self._has_seeds else "The"
        if metric.name == SUCCESS:
            what = "Successful games of all games, with the Wilson 95 % interval; the"
        white, dark = reversed(ends) if metric.better == "lower" else ends
        range_ = f", from {white} (white) to {dark}; see whether intervals overlap" if self._low < self._high else ""
        without = " Games without a number are counted, and in no mean." if metric.none else ""
        return f"{what} darker, the {'better' if metric.better else 'more'}{range_}.{without}"

    def tile(self, games: Sequence[Number]) -> Tile:
        """The tile of one setting, from the numbers of all its games."""
        metric, numbers = self._metric, _known(games)
        count = f"{len(games) - len(numbers)} of {len(games)} {metric.none or 'without'}"
        if not numbers:
            return Tile(metric.none or NONE, count, 0.0) if games else Tile("", "", None)
        mean, bounds = fmean(numbers), seed_interval(metric, numbers)
        place = (mean - self._low) / (self._high - self._low) if self._high > self._low else 0.0
        shade = 1 - place if metric.better == "lower" else place
        shown = f"{sum(numbers):.0f}/{len(numbers)}" if metric.name == SUCCESS else self._shown(mean)
        detail = ""
        if bounds:
            detail = share_interval(bounds) if self._is_share else f"[{number(bounds[0])}, {number(bounds[1])}]"
        details = (detail, count if len(numbers) < len(games) else "")
        return Tile(shown, "; ".join(filter(None, details)), min(max(shade, 0.0), 1.0))

    def _shown(self, value: float) -> str:
        return percent(value) if self._is_share else number(value)
