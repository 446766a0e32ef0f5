"""The folder of a sweep: a grid of recipes, and a run for every pack of its cells.

    DIR/sweep.yaml      the recipe, the grid, and the number of workers among which cells were divided
        runs/0003       the run of cell 3; packed with the three cells after it, runs/0003x4
        failed.json     runs that failed, and why
        cells.csv, cells.parquet, report.html

Everything else follows from sweep.yaml, so a sweep that was stopped at any moment continues with what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from sparring.core.errors import CorruptInput, SparringError, UsageError
from sparring.core.files import (
    read_file,
    read_json,
    storage_errors,
    whole_folder,
    write_json,
    write_whole,
)
from sparring.core.records import Count, Record
from sparring.recipes import dump_yaml, parse_yaml, unvalidated
from sparring.runs.folder import RunFolder
from sparring.runs.lock import owned_with_runs
from sparring.runs.resume_command import resume_command
from sparring.runs.trust import require_importable, require_trusted, trust
from sparring.sweeps.executor import status_of
from sparring.sweeps.grid import Cell, Pack, cells_of, packs, parse_grid
from sparring.sweeps.table import CellResult, Row, results_of, rows_of, write_table

FILE, FAILED = "sweep.yaml", "failed.json"


@contextmanager
def _is_a_plan(file: Path) -> Iterator[None]:
    """Errors within the block say that the file is damaged."""
    try:
        yield
    except (ValueError, UsageError) as error:
        raise CorruptInput(f"{file}: not the plan of a sweep ({error})", "restore the file") from None


class Plan(Record):
    """sweep.yaml.

    Args:
        sweep: version of the format.
        recipe: plain values of the recipe that the grid changes.
        grid: dotted keys and their values, as `Grid`.
        workers: number of workers among which cells were divided; it determines what is packed.
    """

    sweep: Literal[1] = 1
    recipe: dict[str, Any]
    grid: dict[str, Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]]
    workers: Count


class SweepFolder:
    """The folder of a sweep.

    Args:
        path: of the folder.
        plan: its sweep.yaml.
        what: name of the recipe in errors.

    Attributes:
        cells: of the grid.
        packs: the runs that train them.
        csv, parquet: files of its results.

    Raises:
        UsageError: the recipe of a cell is invalid; names the first such cell.
    """

    def __init__(self, path: Path, plan: Plan, what: str) -> None:
        self.path, self.plan = path, plan
        self.cells: list[Cell] = cells_of(plan.recipe, dict(plan.grid), what)
        self.packs: list[Pack] = packs(self.cells, plan.workers)
        self.csv, self.parquet = path / "cells.csv", path / "cells.parquet"

    @classmethod
    def create(cls, path: Path, recipe: str, words: Sequence[str], workers: int) -> SweepFolder:
        """A new sweep, or the same one if it is in the folder already.

        Args:
            path: of the folder.
            recipe: a name or a file.
            words: the grid, as `KEY=A,B,...`.
            workers: runs at a time. A sweep that continues keeps its packs.

        Raises:
            UsageError: the recipe of a cell is invalid, or the folder holds something else.
            StorageError: the disk refused; nothing is left behind.
        """
        path = path.resolve()
        plan = Plan(recipe=unvalidated(recipe), grid=parse_grid(words), workers=workers)
        new = cls(path, plan, recipe)
        if is_sweep(path):
            earlier = cls.open(path)
            if (plan.recipe, [*plan.grid.items()]) != (earlier.plan.recipe, [*earlier.plan.grid.items()]):
                raise UsageError(
                    f"{path}: holds a sweep of another recipe or grid",
                    f"choose another --out, or continue that sweep with {resume_command(path)}",
                )
            return earlier
        RunFolder.require_free(path)
        if RunFolder(path).recipe_path.is_file():
            raise UsageError(f"{path}: holds a run, not a sweep", "choose another --out")
        text = dump_yaml(plan.model_dump(mode="json"))
        with storage_errors(path), whole_folder(path) as folder:
            (folder / "runs").mkdir()
            write_whole(folder / FILE, text.encode())
        trust(text, plan.model_dump(mode="json"))
        return new

    @classmethod
    def open(cls, path: Path) -> SweepFolder:
        """The sweep in a folder.

        Raises:
            UsageError: there is none, or it names code that cannot be imported from here.
            CorruptInput: sweep.yaml is damaged, or names code that this user neither started nor allows.
            StorageError: it cannot be read.
        """
        if not is_sweep(path):
            raise UsageError(f"{path}: not a sweep (it has no {FILE})", "give the --out of a `sparring sweep`")
        file = path.resolve() / FILE
        with _is_a_plan(file):
            text = read_file(file).decode()
            values = parse_yaml(text, str(file))
            require_trusted(file, text, values)
        require_importable(file, values)
        with _is_a_plan(file):
            return cls(file.parent, Plan.model_validate(values), str(file))

    def owned(self) -> AbstractContextManager[None]:
        """A block in which this process owns the folder, as `owned_with_runs`."""
        return owned_with_runs(self.path, "runs/*")

    def folder(self, run: Pack) -> RunFolder:
        """The folder of a run, whether or not it exists yet."""
        return RunFolder(self.path / "runs" / run.name)

    def missing(self) -> list[Pack]:
        """The runs that are not complete; a damaged one is not."""
        return [run for run in self.packs if not _is_complete(self.folder(run).path)]

    def results(self) -> list[CellResult]:
        """The results of all cells so far, in the order of the grid.

        Raises:
            CorruptInput: failed.json is damaged. A damaged run is a failed cell.
        """
        path, found = self.path / FAILED, list[CellResult]()
        failed = read_json(path) if path.is_file() else {}
        for run in self.packs:
            folder = self.folder(run).path
            try:
                if status_of(folder) == "complete":
                    found += results_of(run, folder)
                    continue
                failure = {"status": "missing", "reason": "not complete yet"}
            except SparringError as error:
                failure = self._failure(error)
            failure |= failed.get(run.name, {})
            found += [CellResult(cell, failure["status"], failure["reason"], {}) for cell in run.cells]
        return sorted(found, key=lambda result: result.cell.index)

    def write(self, failed: Mapping[str, SparringError]) -> list[Row]:
        """Write failed.json and the table; return the rows of the table.

        Raises:
            StorageError: the disk refused.
        """
        write_json(self.path / FAILED, {name: self._failure(error) for name, error in failed.items()})
        rows = rows_of(self.results())
        write_table(rows, self.csv, self.parquet)
        return rows

    def _failure(self, error: SparringError) -> dict[str, str]:
        """An error with paths relative to the sweep, so that tables do not depend on where it is."""
        return {"status": error.status, "reason": error.cause.replace(f"{self.path}{os.sep}", "")}


def is_sweep(path: Path) -> bool:
    """Whether a folder holds a sweep."""
    return (path / FILE).is_file()


def _is_complete(folder: Path) -> bool:
    try:
        return status_of(folder) == "complete"
    except SparringError:
        return False
