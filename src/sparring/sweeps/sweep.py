"""A sweep: a folder with a grid, and a run for every pack of its cells.

    DIR/sweep.yaml      the recipe, the grid, and how many workers its cells were shared out to
        runs/0003       the run of cell 3; of cells that are packed with it, runs/0003x4
        aside.json      runs that could not be played to their end, and why
        cells.csv, cells.parquet, report.html

Everything else follows from sweep.yaml, so a sweep that was stopped at any moment goes on with what is missing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from sparring.core.errors import CorruptInput, NonFinite, SparringError, UsageError, printable, unexpected
from sparring.core.files import (
    read_file,
    read_json,
    storage_errors,
    sweep_partial,
    whole_folder,
    write_json,
    write_whole,
)
from sparring.core.records import Count, Record, problems_in
from sparring.recipes import dump_yaml, parse_yaml, unvalidated
from sparring.runs.folder import RunFolder
from sparring.runs.lock import owned
from sparring.runs.trust import require_trusted, trust
from sparring.sweeps.grid import Cell, Grid, cells_of, parse_grid
from sparring.sweeps.packing import Pack, packs
from sparring.sweeps.side_by_side import SEE_ALONE, Crew, Followed, Referee, Runs, is_complete, play_side_by_side

FILE = "sweep.yaml"
_ASIDE = "aside.json"
_PATIENCE = 60.0
"""Seconds that workers of a coordinator that is gone are waited for: they save, and end."""


class Plan(Record):
    """sweep.yaml.

    Args:
        sweep: the version of this format.
        recipe: plain values of the recipe that the grid changes.
        grid: dotted keys and their values, as `Grid`.
        workers: how many the cells were shared out to; what is packed follows from it.
    """

    sweep: Literal[1] = 1
    recipe: dict[str, Any]
    grid: dict[str, Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]]
    workers: Count

    @classmethod
    def of(cls, recipe: str, words: Sequence[str], workers: int) -> Plan:
        """The plan that a command line means; its cells are not yet validated.

        Raises:
            UsageError: there is no such recipe, or a word is no `KEY=A,B,...`.
        """
        return cls(recipe=unvalidated(recipe), grid=parse_grid(words), workers=workers)

    def text(self) -> str:
        """As it stands in the file."""
        return dump_yaml(self.model_dump(mode="json"))


class Sweep:
    """A sweep's folder, and what it plays.

    Args:
        path: of the folder.
        plan: what sweep.yaml says.
        what: the recipe is called in errors.

    Raises:
        UsageError: a cell is no valid recipe; all of them are named.
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
    def begun(cls, path: Path, recipe: str, words: Sequence[str], workers: int) -> Iterator[Sweep]:
        """A new sweep, or the same one where it was left; held from before anybody can see it.

        Args:
            path: of its folder.
            recipe: a name or a file.
            words: the grid, as `KEY=A,B,...`.
            workers: how many will play; a sweep that goes on keeps the packs that it began with.

        Raises:
            UsageError: a cell is no valid recipe, or the folder holds something else.
            FolderBusy: another process owns the folder.
            StorageError: the disk refused; nothing is left behind.
        """
        path, plan = path.resolve(), Plan.of(recipe, words, workers)
        sweep = cls(path, plan, recipe)
        if (path / FILE).is_file():
            sweep = cls.open(path)
            sweep._require_same(plan)
            with sweep.owned():
                yield sweep
            return
        RunFolder.require_free(path)
        with ExitStack() as held:
            with storage_errors(path), whole_folder(path) as folder:
                (folder / "runs").mkdir()
                write_whole(folder / FILE, plan.text().encode())
                held.enter_context(owned(path, place=folder))
            trust(plan.text(), plan.model_dump(mode="json"))
            yield sweep

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
        path, file = path.resolve(), path / FILE
        content = read_file(file)
        try:
            text = content.decode()
            values = parse_yaml(text, str(file))
            require_trusted(file, text, values)
            return cls(path, Plan.model_validate(values), str(file))
        except UnicodeDecodeError:
            cause = f"{file}: not text"
        except ValidationError as error:
            cause = f"{file}: {printable(str(problems_in(error, Plan.model_fields)[0]))}"
        except UsageError as error:
            cause = f"{file}: {error.cause}"
        raise CorruptInput(cause, "restore the file")

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the folder of a sweep that is there already; its runs are nobody else's by then.

        Raises:
            FolderBusy: another process holds it.
        """
        with owned(self.path):
            sweep_partial(self.path)
            sweep_partial(self.path / "runs")
            deadline = time.monotonic() + _PATIENCE
            while time.monotonic() < deadline and any(self.folder(run).is_owned() for run in self.runs()):
                time.sleep(0.1)
            yield

    def folder(self, run: Pack) -> RunFolder:
        """Where a run is, or will be."""
        return RunFolder(self.path / "runs" / run.name)

    def runs(self) -> list[Pack]:
        """What is played now: every pack, and one whose numbers turned non-finite cell by cell.

        One game that diverges must not take those along that it was packed with.
        """
        return [run for pack in self.packs for run in (pack.alone() if self._fell_apart(pack) else [pack])]

    def missing(self) -> list[Pack]:
        """The runs that are not complete."""
        return [run for run in self.runs() if not is_complete(self.folder(run).path)]

    def play(self, crew: Crew, played: Followed, ended: Followed) -> dict[str, SparringError]:
        """Play what is missing. A run that fails is set aside, and the others are played all the same.

        Args:
            crew: who plays.
            played: told how many rounds of all missing runs are played, and how many there are.
            ended: told how many cells are complete or set aside, and how many there are.

        Returns:
            What the runs that were set aside failed with, by name.

        Raises:
            StorageError: aside.json cannot be written.
        """
        missing = {self.folder(run).path: run for run in self.missing()}
        referee = _Lenient(missing, len(self.cells), played, ended, lambda run: self.folder(run).path)
        play_side_by_side({path: run.recipe for path, run in missing.items()}, referee, crew)
        entries = {name: {"status": error.status, "reason": self._told(error)} for name, error in referee.aside.items()}
        write_json(self.path / _ASIDE, entries)
        return referee.aside

    def aside(self) -> dict[str, Any]:
        """aside.json: {RUN: {"status", "reason"}}; empty while there is none."""
        path = self.path / _ASIDE
        return read_json(path) if path.exists() else {}

    def _fell_apart(self, pack: Pack) -> bool:
        if len(pack.cells) == 1:
            return False
        with contextlib.suppress(SparringError):  # what cannot be read is told when it is played
            summary = self.folder(pack).summary()
            return summary is not None and summary.status == NonFinite.status
        return False

    def _told(self, error: SparringError) -> str:
        """Its cause without the place where the sweep happens to be."""
        return error.cause.replace(f"{self.path}{os.sep}", "")

    def _require_same(self, plan: Plan) -> None:
        for name, there, given in (
            ("recipe", self.plan.recipe, plan.recipe),
            ("grid", list(self.plan.grid.items()), list(plan.grid.items())),
        ):
            if dump_yaml(there) != dump_yaml(given):
                raise UsageError(
                    f"{self.path}: holds a sweep of another {name}",
                    f"choose another --out; `sparring resume {self.path}` goes on with what is there",
                )


class _Lenient(Referee):
    """A run that fails is set aside; a pack whose numbers turn non-finite is played cell by cell.

    Attributes:
        aside: what runs failed with, by name.
    """

    def __init__(
        self, runs: Mapping[Path, Pack], cells: int, played: Followed, ended: Followed, path_of: Callable[[Pack], Path]
    ) -> None:
        self.aside: dict[str, SparringError] = {}
        self._runs, self._cells, self._path_of = dict(runs), cells, path_of
        self._played, self._ended = played, ended
        self._open = sum(len(run.cells) for run in runs.values())

    def played(self, done: int, total: int) -> None:
        self._played(done, total)

    def completed(self, path: Path) -> None:
        self._open -= len(self._runs[path].cells)
        self._ended(self._cells - self._open, self._cells)

    def failed(self, path: Path, error: Exception) -> Runs:
        run = self._runs[path]
        if isinstance(error, NonFinite) and len(run.cells) > 1:
            alone = {self._path_of(each): each for each in run.alone()}
            self._runs |= alone
            return {path: each.recipe for path, each in alone.items()}
        self.aside[run.name] = error if isinstance(error, SparringError) else unexpected(error, SEE_ALONE)
        self.completed(path)
        return {}


def is_sweep(path: Path) -> bool:
    """Whether a folder holds a sweep."""
    return (path / FILE).is_file()
