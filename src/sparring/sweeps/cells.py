"""What came out of every cell of a sweep, as the folders of its runs tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.core.errors import CorruptInput, SparringError, printable
from sparring.runs.schema import SUMMARY, Estimate, MetricValue
from sparring.sweeps.grid import Cell
from sparring.sweeps.packing import Pack
from sparring.sweeps.sweep import Sweep

OF_ALL_GAMES = frozenset({"success_rate", "ever_success_rate"})
"""Numbers of a whole run, which say nothing of one game of it."""


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
    numbers: dict[str, Estimate]


def results(sweep: Sweep) -> list[Result]:
    """What came out of every cell so far, in the order of the grid.

    Raises:
        CorruptInput: aside.json is damaged; a damaged run is a result.
    """
    aside = sweep.aside()
    found = [result for run in sweep.runs() for result in _results(sweep, run, aside.get(run.name))]
    return sorted(found, key=lambda result: result.cell.index)


def _results(sweep: Sweep, run: Pack, aside: Any) -> list[Result]:
    folder = sweep.folder(run)
    try:
        summary = folder.summary() if folder.path.is_dir() else None
        if summary is not None and summary.status == "complete":
            numbers = _numbers(summary.metrics, len(run.cells), folder.path / SUMMARY)
            return [Result(cell, "complete", "", numbers[game]) for game, cell in enumerate(run.cells)]
        status, reason = "missing", "not played to its end yet"
    except SparringError as error:
        status, reason = "failed", error.cause.replace(f"{sweep.path}/", "")
    if isinstance(aside, dict):
        status, reason = str(aside.get("status", status)), str(aside.get("reason", reason))
    return [Result(cell, printable(status), printable(reason), {}) for cell in run.cells]


def _numbers(metrics: Mapping[str, MetricValue], games: int, path: Path) -> list[dict[str, Estimate]]:
    """The numbers of every game of a run.

    Raises:
        CorruptInput: they are not one number, or none, for each game.
    """
    estimates = {name: metric.estimates for name, metric in metrics.items() if name not in OF_ALL_GAMES}
    if any(len(each) != games for each in estimates.values()):
        raise CorruptInput(f"{path}: its numbers are not one for each of {games} games", "restore the file")
    return [{name: each[game] for name, each in estimates.items()} for game in range(games)]
