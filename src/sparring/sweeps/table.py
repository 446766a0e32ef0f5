"""The table of a sweep, as CSV and as Parquet: a row for every cell in the order of the grid.

It holds no times, so equal sweeps have equal bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sparring.core.errors import CorruptInput
from sparring.core.files import write_whole
from sparring.runs.schema import SUMMARY, Estimate, Summary
from sparring.sweeps.grid import Cell, Pack, table_value

Row = dict[str, Any]

_OF_THE_RUN = frozenset({"success_rate", "ever_success_rate"})
"""Metrics over all games of a run, which are none of a cell."""


@dataclass(frozen=True)
class CellResult:
    """The result of one cell.

    Args:
        cell: which.
        status: `complete`, how it failed, or `missing`.
        reason: why it is not complete, or when the game diverged.
        metrics: final values by name.
    """

    cell: Cell
    status: str
    reason: str
    metrics: dict[str, Estimate]


def results_of(run: Pack, folder: Path) -> list[CellResult]:
    """The results of all cells of a complete run.

    Raises:
        CorruptInput: the summary of the run is damaged.
    """
    metrics = Summary.read(folder / SUMMARY).metrics
    estimates = {name: metric.estimates for name, metric in metrics.items() if name not in _OF_THE_RUN}
    if any(len(each) != len(run.cells) for each in estimates.values()):
        raise CorruptInput(f"{folder / SUMMARY}: not one value for each of {len(run.cells)} games", "restore the file")
    results = []
    for game, cell in enumerate(run.cells):
        numbers = {name: each[game] for name, each in estimates.items()}
        diverged = numbers.get("diverged", Estimate(None)).value
        results.append(CellResult(cell, "complete", f"diverged at round {diverged:,}" if diverged else "", numbers))
    return results


def rows_of(results: Sequence[CellResult]) -> list[Row]:
    """The rows: keys that vary, seed, status, and final metrics with their intervals beside them."""
    names = dict.fromkeys(name for result in results for name in result.metrics)
    with_interval = {name for result in results for name, metric in result.metrics.items() if metric.interval}
    rows = []
    for result in results:
        row = {key: table_value(value) for key, value in result.cell.settings.items()}
        row |= {"seed": result.cell.recipe.seed, "status": result.status, "reason": result.reason}
        for name in names:
            metric = result.metrics.get(name, Estimate(None))
            row[name] = metric.value
            if name in with_interval:
                row[f"{name}_low"], row[f"{name}_high"] = metric.interval or (None, None)
        rows.append(row)
    return rows


def write_table(rows: Sequence[Row], csv: Path, parquet: Path) -> None:
    """Write the table in both formats.

    Raises:
        StorageError: the disk refused.
    """
    table = pa.table({name: _column([row[name] for row in rows]) for name in rows[0]})
    for path, write in ((csv, pyarrow.csv.write_csv), (parquet, pyarrow.parquet.write_table)):
        content = io.BytesIO()
        write(table, content)
        write_whole(path, content.getvalue())


def _column(values: Sequence[Any]) -> pa.Array:
    """Values as they are if all are booleans, integers or strings, as floats if all are numbers, else as strings."""
    types = {type(value) for value in values if value is not None}
    if len(types) == 1:
        return pa.array(values)
    if types <= {int, float}:
        return pa.array(values, pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())
