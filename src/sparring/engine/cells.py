"""The table of a sweep: a row a cell, in the order of the grid, as CSV and as Parquet; the same bytes every time."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sparring.engine.grid import Cell, plain
from sparring.engine.packing import Pack
from sparring.engine.sweep import Sweep
from sparring.errors import CorruptInput, SparringError, printable
from sparring.files import write_whole

OF_ALL_GAMES = frozenset({"success_rate", "ever_success_rate"})
"""Numbers of a whole run, which say nothing of one game of it."""
LARGEST = 1e100
"""The size of a number, at most."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Number:
    """A final number of one cell, and its interval where it has one; None is a success that never came."""

    value: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Result:
    """What came out of one cell.

    Args:
        cell: which.
        status: `complete`, how it failed, or `missing`.
        reason: why, where it is not complete.
        numbers: final ones, by name.
    """

    cell: Cell
    status: str
    reason: str
    numbers: dict[str, Number]


def results(sweep: Sweep) -> list[Result]:
    """What came out of every cell so far, in the order of the grid.

    Raises:
        CorruptInput: aside.json is damaged; a damaged run is a result.
    """
    aside = sweep.aside()
    found = [result for run in sweep.runs() for result in _results(sweep, run, aside.get(run.name))]
    return sorted(found, key=lambda result: result.cell.index)


def rows_of(found: list[Result]) -> list[Row]:
    """The table: what varies, the seed, how the cell ended, and its final numbers with their intervals beside them."""
    names = dict.fromkeys(name for result in found for name in result.numbers)
    with_interval = {name for result in found for name, number in result.numbers.items() if number.interval}
    rows = []
    for result in found:
        row: Row = {key: plain(value) for key, value in result.cell.settings.items()}
        row |= {"seed": result.cell.recipe.seed, "status": result.status, "reason": result.reason}
        for name in names:
            number = result.numbers.get(name, Number(None))
            row[name] = number.value
            if name in with_interval:
                row[f"{name}_low"], row[f"{name}_high"] = number.interval or (None, None)
        rows.append(row)
    return rows


def write_table(sweep: Sweep) -> list[Row]:
    """Write cells.csv and cells.parquet, and return their rows.

    Raises:
        StorageError: the disk refused.
    """
    rows = rows_of(results(sweep))
    write_whole(sweep.csv, _csv(rows).encode())
    write_whole(sweep.parquet, _parquet(rows))
    return rows


def _results(sweep: Sweep, run: Pack, aside: Any) -> list[Result]:
    folder = sweep.folder(run)
    try:
        summary = folder.summary() if folder.path.is_dir() else {}
        if summary.get("status") == "complete":
            numbers = _numbers(summary.get("metrics"), len(run.cells), str(folder.path / "summary.json"))
            return [Result(cell, "complete", "", numbers[game]) for game, cell in enumerate(run.cells)]
        status, reason = "missing", "not played to its end yet"
    except SparringError as error:
        status, reason = "failed", error.cause.replace(f"{sweep.path}/", "")
    if isinstance(aside, dict):
        status, reason = str(aside.get("status", status)), str(aside.get("reason", reason))
    return [Result(cell, printable(status), printable(reason), {}) for cell in run.cells]


def _numbers(metrics: Any, games: int, what: str) -> list[dict[str, Number]]:
    """The numbers of every game of a run.

    Raises:
        CorruptInput: they are not one number, or none, for each game.
    """
    found: list[dict[str, Number]] = [{} for _ in range(games)]
    try:
        for name in metrics.keys() - OF_ALL_GAMES:
            values, intervals = metrics[name]["value"], metrics[name]["interval"]
            if not isinstance(values, list):
                values, intervals = [values], [intervals]
            intervals = [None] * games if intervals is None else intervals
            for numbers, value, interval in zip(found, values, intervals, strict=True):
                numbers[name] = Number(_checked(value), interval and (_checked(interval[0]), _checked(interval[1])))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        raise CorruptInput(f"{what}: its numbers are not one for each of {games} games", "restore the file") from None
    return [{name: numbers[name] for name in metrics if name in numbers} for numbers in found]


def _checked(value: Any) -> Any:
    if value is not None and (isinstance(value, bool) or not -LARGEST <= value <= LARGEST):
        raise ValueError
    return value


def _csv(rows: list[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([_written(value) for value in row.values()] for row in rows)
    return out.getvalue()


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _parquet(rows: list[Row]) -> bytes:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    table = pa.table({name: pa.array(*_typed(values)) for name, values in columns.items()})
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _typed(values: list[Any]) -> tuple[list[Any], pa.DataType]:
    """A column and its type: the narrowest of truths, whole numbers, numbers and texts that has all of its values."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return values, pa.bool_()
    if kinds == {int} and all(abs(value) < 1 << 63 for value in values if value is not None):
        return values, pa.int64()
    if kinds <= {int, float}:
        return [None if value is None else float(value) for value in values], pa.float64()
    return [None if value is None else _written(value) for value in values], pa.string()
