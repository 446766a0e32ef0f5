"""A sweep: a folder with a grid of recipes, and a run for every pack of its cells.

    DIR/sweep.yaml      the recipe, the grid, and the number of workers among which cells were divided
        runs/0003       the run of cell 3; packed with the three cells after it, runs/0003x4
        failed.json     runs that failed, and why
        cells.csv, cells.parquet, report.html

Everything else follows from sweep.yaml, so a sweep that was stopped at any moment continues with what is missing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from sparring.core.errors import CorruptInput, NonFinite, SparringError, UsageError
from sparring.core.files import (
    read_file,
    read_json,
    storage_errors,
    sweep_partial,
    whole_folder,
    write_json,
    write_whole,
)
from sparring.core.progress import SILENT, Progress
from sparring.core.records import Count, Record
from sparring.recipes import dump_yaml, parse_yaml, unvalidated
from sparring.runs.folder import RunFolder
from sparring.runs.lock import owned
from sparring.runs.trust import require_trusted, trust
from sparring.sweeps.executor import Executor, status_of, train_runs
from sparring.sweeps.grid import Cell, Grid, cells_of, parse_grid
from sparring.sweeps.packing import Pack, packs
from sparring.sweeps.table import CellResult, Row, results_of, rows_of, write_table

FILE, FAILED = "sweep.yaml", "failed.json"
_SAVING = 60.0
"""Seconds that workers of an earlier coordinator, which died, have to save and end."""


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep.

    Args:
        rows: the table, a row for every cell.
        csv, parquet: its files.
        failed: errors of runs that failed, by name.
    """

    rows: list[Row]
    csv: Path
    parquet: Path
    failed: dict[str, SparringError]


class RunsFailed(SparringError):
    """Runs of a sweep failed, while all others are complete. The exit code is theirs if they agree, else 1."""

    def __init__(self, failed: dict[str, SparringError]) -> None:
        name, error = next(iter(failed.items()))
        super().__init__(
            f"{len(failed)} of the runs failed: {', '.join(failed)}; {name}: {error.cause}",
            f"{error.remedy or 'see the table'}; the same command tries again",
        )
        codes = {error.exit_code for error in failed.values()}
        self.exit_code = codes.pop() if len(codes) == 1 else 1


def sweep(
    recipe: str, grid: Sequence[str], out: Path, *, executor: Executor, progress: Progress = SILENT
) -> SweepResult:
    """Train every cell of a grid that is not complete yet, and write cells.csv and cells.parquet.

    Args:
        recipe: a name from `sparring list recipes`, or a YAML file.
        grid: `KEY=A,B,...` or `KEY=0..9` for every dotted key that varies, `KEY=VALUE` for what all cells share.
        out: the folder of the sweep, new or that of the same sweep.
        executor: trains the runs; it is shut down at the end.
        progress: follows the rounds.

    Raises:
        UsageError: recipes of cells are invalid (names all of them), or the folder holds something else.
        FolderBusy: another process owns the folder.
        StorageError: the disk refused.
    """
    with executor, Sweep.started(out, recipe, grid, executor.workers) as started:
        return _train(started, executor, progress)


def resume_sweep(out: Path, *, executor: Executor, progress: Progress = SILENT) -> SweepResult:
    """Continue the sweep in a folder, as `sweep`."""
    with executor, (opened := Sweep.open(out)).owned():
        return _train(opened, executor, progress)


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


class Sweep:
    """The folder of a sweep.

    Args:
        path: of the folder.
        plan: its sweep.yaml.
        what: name of the recipe in errors.

    Raises:
        UsageError: recipes of cells are invalid; names all of them.
    """

    def __init__(self, path: Path, plan: Plan, what: str) -> None:
        self.path, self.plan = path, plan
        self.grid: Grid = dict(plan.grid)
        self.cells: list[Cell] = cells_of(plan.recipe, self.grid, what)
        self.packs: list[Pack] = packs(self.cells, plan.workers)
        self.csv, self.parquet = path / "cells.csv", path / "cells.parquet"
        self.report = path / "report.html"

    @classmethod
    @contextmanager
    def started(cls, path: Path, recipe: str, words: Sequence[str], workers: int) -> Iterator[Sweep]:
        """A new sweep, or the same one that was started in this folder earlier; owned within the block.

        Args:
            path: of the folder.
            recipe: a name or a file.
            words: the grid, as `KEY=A,B,...`.
            workers: runs at a time. A sweep that continues keeps its packs.

        Raises:
            UsageError: recipes of cells are invalid, or the folder holds something else.
            FolderBusy: another process owns the folder.
            StorageError: the disk refused; nothing is left behind.
        """
        path = path.resolve()
        plan = Plan(recipe=unvalidated(recipe), grid=parse_grid(words), workers=workers)
        new, text = cls(path, plan, recipe), dump_yaml(plan.model_dump(mode="json"))
        if is_sweep(path):
            earlier = cls.open(path)
            if dump_yaml([plan.recipe, *new.grid.items()]) != dump_yaml([earlier.plan.recipe, *earlier.grid.items()]):
                raise UsageError(
                    f"{path}: holds a sweep of another recipe or grid",
                    f"choose another --out, or continue that sweep with `sparring resume {path}`",
                )
            with earlier.owned():
                yield earlier
            return
        RunFolder.require_free(path)
        with ExitStack() as held:
            with storage_errors(path), whole_folder(path) as folder:
                (folder / "runs").mkdir()
                write_whole(folder / FILE, text.encode())
                held.enter_context(owned(path, place=folder))
            trust(text, plan.model_dump(mode="json"))
            yield new

    @classmethod
    def open(cls, path: Path) -> Sweep:
        """The sweep in a folder.

        Raises:
            UsageError: there is none.
            CorruptInput: sweep.yaml is damaged, or names code that this user neither started nor allows.
            StorageError: it cannot be read.
        """
        if not is_sweep(path):
            raise UsageError(f"{path}: not a sweep (it has no {FILE})", "give the --out of a `sparring sweep`")
        file = path.resolve() / FILE
        try:
            text = read_file(file).decode()
            values = parse_yaml(text, str(file))
            require_trusted(file, text, values)
            return cls(file.parent, Plan.model_validate(values), str(file))
        except (ValueError, UsageError) as error:
            raise CorruptInput(f"{file}: not the plan of a sweep ({error})", "restore the file") from None

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Own the folder, once workers of an earlier coordinator that died have saved.

        Raises:
            FolderBusy: another process owns it.
        """
        with owned(self.path):
            sweep_partial(self.path)
            sweep_partial(self.path / "runs")
            deadline = time.monotonic() + _SAVING
            while time.monotonic() < deadline and any(self.folder(run).is_owned() for run in self.runs()):
                time.sleep(0.1)
            yield

    def folder(self, run: Pack) -> RunFolder:
        """The folder of a run, whether or not it exists yet."""
        return RunFolder(self.path / "runs" / run.name)

    def runs(self) -> list[Pack]:
        """All packs; one that turned non-finite is split, so that one diverging game does not fail the others."""
        return [run for pack in self.packs for run in (pack.split() if self._diverged(pack) else [pack])]

    def missing(self) -> list[Pack]:
        """The runs that are not complete."""
        return [run for run in self.runs() if status_of(self.folder(run).path) != "complete"]

    def results(self) -> list[CellResult]:
        """The results of all cells so far, in the order of the grid.

        Raises:
            CorruptInput: failed.json is damaged. A damaged run is a failed cell.
        """
        path = self.path / FAILED
        failed = read_json(path) if path.is_file() else {}
        found = [result for run in self.runs() for result in self._results(run, failed.get(run.name))]
        return sorted(found, key=lambda result: result.cell.index)

    def write(self, failed: dict[str, SparringError]) -> SweepResult:
        """Write failed.json and the table.

        Raises:
            StorageError: the disk refused.
        """
        failed = dict(sorted(failed.items()))
        entries = {name: {"status": error.status, "reason": self._reason(error)} for name, error in failed.items()}
        write_json(self.path / FAILED, entries)
        rows = rows_of(self.results())
        write_table(rows, self.csv, self.parquet)
        return SweepResult(rows, self.csv, self.parquet, failed)

    def _results(self, run: Pack, failure: dict[str, str] | None) -> list[CellResult]:
        folder = self.folder(run).path
        try:
            if status_of(folder) == "complete":
                return results_of(run, folder)
            status, reason = "missing", "not complete yet"
        except SparringError as error:
            status, reason = error.status, self._reason(error)
        if failure:
            status, reason = failure["status"], failure["reason"]
        return [CellResult(cell, status, reason, {}) for cell in run.cells]

    def _diverged(self, pack: Pack) -> bool:
        if len(pack.cells) == 1:
            return False
        with contextlib.suppress(SparringError):  # an unreadable run is reported when it is resumed
            return status_of(self.folder(pack).path) == NonFinite.status
        return False

    def _reason(self, error: SparringError) -> str:
        """The cause with paths relative to the sweep, so that tables do not depend on where it is."""
        return error.cause.replace(f"{self.path}{os.sep}", "")


def is_sweep(path: Path) -> bool:
    """Whether a folder holds a sweep."""
    return (path / FILE).is_file()


def _train(opened: Sweep, executor: Executor, progress: Progress) -> SweepResult:
    """Train what is missing. Runs that fail do not stop the others."""
    missing, failed = opened.missing(), dict[str, SparringError]()
    cells, left = len(opened.cells), sum(len(run.cells) for run in missing)
    progress.note(f"{cells - left:,} of {cells:,} cells are complete; {len(missing):,} runs train the others")
    while missing:
        packs_of = {opened.folder(run).path: run for run in missing}
        missing = []
        for path, error in train_runs({path: run.recipe for path, run in packs_of.items()}, executor, progress):
            run = packs_of[path]
            if isinstance(error, NonFinite) and len(run.cells) > 1:
                missing += run.split()
            elif error:
                failed[run.name] = error
    return opened.write(failed)
