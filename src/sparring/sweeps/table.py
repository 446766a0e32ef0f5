"""The table of a sweep: a row a cell, in the order of the grid, as CSV and as Parquet; the same bytes every time."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sparring.core.files import write_whole
from sparring.runs.schema import Estimate
from sparring.sweeps.cells import Result, results
from sparring.sweeps.grid import plain
from sparring.sweeps.sweep import Sweep

Row = dict[str, Any]


def write_table(sweep: Sweep) -> list[Row]:
    """Write cells.csv and cells.parquet, and return their rows.

    Raises:
        StorageError: the disk refused.
    """
    rows = rows_of(results(sweep))
    write_whole(sweep.csv, _csv(rows).encode())
    write_whole(sweep.parquet, _parquet(rows))
    return rows


def rows_of(found: list[Result]) -> list[Row]:
    """The table: what varies, the seed, how the cell ended, and its final numbers with their intervals beside them."""
    names = dict.fromkeys(name for result in found for name in result.numbers)
    with_interval = {name for result in found for name, number in result.numbers.items() if number.interval}
    rows = []
    for result in found:
        row: Row = {key: plain(value) for key, value in result.cell.settings.items()}
        row |= {"seed": result.cell.recipe.seed, "status": result.status, "reason": result.reason}
        for name in names:
            number = result.numbers.get(name, Estimate(None))
            row[name] = number.value
            if name in with_interval:
                row[f"{name}_low"], row[f"{name}_high"] = number.interval or (None, None)
        rows.append(row)
    return rows


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
