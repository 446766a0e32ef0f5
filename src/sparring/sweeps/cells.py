"""What came out of every cell of a sweep, as the folders of its runs tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparring.core.errors import CorruptInput, SparringError, printable
from sparring.sweeps.grid import Cell
from sparring.sweeps.packing import Pack
from sparring.sweeps.sweep import Sweep

OF_ALL_GAMES = frozenset({"success_rate", "ever_success_rate"})
"""Numbers of a whole run, which say nothing of one game of it."""
LARGEST = 1e100
"""The size of a number, at most."""


@dataclass(frozen=True)
class Number:
    """A final number of one cell, and its interval where it has one; None is a success that never came."""

    value: float | int | None
    interval: tuple[float | int, float | int] | None = None


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
