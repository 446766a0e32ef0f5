"""A sweep from the grid to the page: plays every cell that is missing, then writes the table and the report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sparring.core.errors import SparringError, UsageError
from sparring.report import report_folder
from sparring.runs.environment import choose_device
from sparring.sweeps.cluster import Cluster
from sparring.sweeps.packing import Pack
from sparring.sweeps.side_by_side import Crew
from sparring.sweeps.sweep import Sweep
from sparring.sweeps.table import write_table
from sparring.sweeps.workers import Processes

_COLUMNS, _LINES = 9, 200
"""Of the table on a terminal, at most; the files have all of it."""


@runtime_checkable
class Audience(Protocol):
    """Who follows a sweep."""

    def note(self, text: str) -> None:
        """A line that a user should read."""

    def called(self, what: str) -> None:
        """What is counted from now on."""

    def played(self, done: int, total: int) -> None:
        """`done` of `total` are finished."""


@dataclass(frozen=True)
class Workers:
    """Who plays a sweep.

    Args:
        count: at a time; 0 is one for each core, or for each device other than a CPU.
        device: that processes of this machine play on: `auto`, `cpu`, `cuda` or `cuda:N`.
        address: of a Ray cluster: `local`, `auto` or `ray://HOST:PORT`; without one, processes of this machine.
        gpus_per_run: share of a GPU that a run takes on the cluster.
    """

    count: int = 0
    device: str = "auto"
    address: str = ""
    gpus_per_run: float = 0.0

    def __post_init__(self) -> None:
        if self.gpus_per_run and not self.address:
            raise UsageError("--gpus-per-run: means nothing without a cluster", "add --address local")
        if self.address not in ("", "local", "auto") and ":" not in self.address:
            raise UsageError(f"--address {self.address}: not that of a cluster", "use local, auto or ray://HOST:PORT")

    @property
    def expected(self) -> int:
        """How many there will be, as far as this machine can tell."""
        one_a_core = self.address or choose_device(self.device).type == "cpu"
        return self.count or ((os.cpu_count() or 1) if one_a_core else 1)

    def crew(self) -> Crew:
        """They themselves.

        Raises:
            UsageError: Ray is not there, or no cluster answers.
        """
        if self.address:
            return Cluster(self.address, self.count, self.gpus_per_run)
        return Processes(self.expected, str(choose_device(self.device)))


@dataclass(frozen=True)
class Swept:
    """What a sweep came to.

    Args:
        rows: the table, a row a cell.
        csv, parquet, report: its files.
        aside: what runs failed with, by name.
    """

    rows: list[dict[str, Any]]
    csv: Path
    parquet: Path
    report: Path
    aside: dict[str, SparringError]

    def files(self) -> dict[str, Path]:
        """What was written, by what it is."""
        return {"csv": self.csv, "parquet": self.parquet, "report": self.report}

    def telling(self) -> list[dict[str, Any]]:
        """The rows that fit a terminal: what varies, how the cell ended, and the first numbers."""
        columns = [name for name in self.rows[0] if not name.endswith(("_low", "_high"))][:_COLUMNS]
        if not self.aside:
            columns.remove("reason")
        return [{name: row[name] for name in columns} for row in self.rows[:_LINES]]

    def require_whole(self) -> None:
        """Refuse a sweep whose runs are not all complete.

        Raises:
            SetAside: names them; with their exit code where all have the same, else with 1.
        """
        if self.aside:
            raise SetAside(self.aside)


class SetAside(SparringError):
    """Runs of a sweep that failed, while all others were played."""

    def __init__(self, aside: dict[str, SparringError]) -> None:
        first, codes = next(iter(aside.items())), {error.exit_code for error in aside.values()}
        count = "1 run was" if len(aside) == 1 else f"{len(aside)} runs were"
        super().__init__(
            f"{count} set aside: {', '.join(aside)}; {first[0]}: {first[1].cause}",
            f"{first[1].remedy or 'see the table'}; the same command tries them again",
        )
        self.args = (aside,)
        self.exit_code = codes.pop() if len(codes) == 1 else 1


def sweep(recipe: str, grid: Sequence[str], out: Path, *, workers: Workers, audience: Audience) -> Swept:
    """Play every cell of a grid that is not complete yet; write cells.csv, cells.parquet and report.html.

    Args:
        recipe: a name from `sparring list recipes`, or a YAML file.
        grid: `KEY=A,B,...` or `KEY=0..9` for every dotted key that varies, `KEY=VALUE` for what all cells share.
        out: the folder of the sweep, new or that of the same sweep.
        workers: who plays.
        audience: who follows.

    Raises:
        UsageError: a cell is no valid recipe (all are named), or the folder holds something else.
        FolderBusy: another process owns the folder.
        StorageError: the disk refused.
    """
    with Sweep.begun(out, recipe, grid, workers.expected) as begun:
        return _play(begun, workers, audience)


def resume_sweep(out: Path, *, workers: Workers, audience: Audience) -> Swept:
    """Go on with the sweep in a folder; as `sweep`."""
    found = Sweep.open(out)
    with found.owned():
        return _play(found, workers, audience)


def _play(found: Sweep, workers: Workers, audience: Audience) -> Swept:
    cells, missing = len(found.cells), found.missing()
    left = sum(len(run.cells) for run in missing)
    if left < cells:
        audience.note(f"{cells - left:,} of {cells:,} cells are complete already")
    seeds = {cell.recipe.seed for cell in found.cells}
    if len(seeds) > 1 and len(found.grid.get("seed", ())) < 2:
        audience.note(
            f"{len(seeds)} seeds of every setting, as the recipe has replicas: {len(seeds)}; replicas=1 is one"
        )
    if missing:
        audience.note(f"{_cells(left)}: {shape(missing)}")
    audience.called(f"{cells - left:,} of {cells:,} cells, rounds")
    aside = {}
    if missing:
        aside = found.play(
            workers.crew(),
            audience.played,
            lambda done, total: audience.called(f"{done:,} of {total:,} cells, rounds"),
        )
    rows = write_table(found)
    return Swept(rows, found.csv, found.parquet, report_folder(found.path), aside)


def shape(runs: Sequence[Pack]) -> str:
    """How cells are packed: `8 runs of 3 packed games, 2 runs of 1 cell`."""
    sizes = [len(run.cells) for run in runs]
    told = []
    for size in sorted(set(sizes), reverse=True):
        count = sizes.count(size)
        what = "1 run" if count == 1 else f"{count:,} runs"
        told.append(f"{what} of {f'{size} packed games' if size > 1 else '1 cell'}")
    return ", ".join(told)


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count:,} cells"
