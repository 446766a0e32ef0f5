"""Sweeps: every cell of a grid is trained, or resumed; runs that fail do not stop the others.

The demo trains each of its objectives with and without an adversary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparring.core.errors import SparringError, UsageError
from sparring.core.process import SILENT, Progress
from sparring.recipes import load
from sparring.runs.folder import RunFolder
from sparring.sweeps.executor import Executor, LocalExecutor, status_of, train_runs
from sparring.sweeps.sweep_folder import SweepFolder
from sparring.sweeps.table import Row

DEMO_RECIPE = "dishonest/ring-small"
DEMO_OBJECTIVES = ("log", "linear")
"""The standard objective, and one of class H, which Theorem 6 of Xu, Li, Jegelka covers."""
DEMO_PROBABILITIES = (0.0, 0.4)
"""Of a flip: without an adversary on D's feedback, and with one."""
DEMO_TITLE = "The ring under an honest and a lying discriminator"


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
        UsageError: the recipe of a cell is invalid (names the first), or the folder holds something else.
        FolderBusy: another process owns the folder.
        StorageError: the disk refused.
    """
    with executor, (opened := SweepFolder.create(out, recipe, grid, executor.workers)).owned():
        return _train(opened, executor, progress)


def resume_sweep(out: Path, *, executor: Executor, progress: Progress = SILENT) -> SweepResult:
    """Continue the sweep in a folder, as `sweep`."""
    with executor, (opened := SweepFolder.open(out)).owned():
        return _train(opened, executor, progress)


def _train(opened: SweepFolder, executor: Executor, progress: Progress) -> SweepResult:
    """Train what is missing."""
    missing, failed = opened.missing(), dict[str, SparringError]()
    cells, left = len(opened.cells), sum(len(run.cells) for run in missing)
    progress.note(f"{cells - left:,} of {cells:,} cells are complete; {len(missing):,} runs train the others")
    packs_of = {opened.folder(run).path: run for run in missing}
    for path, error in train_runs({path: run.recipe for path, run in packs_of.items()}, executor, progress):
        if error:
            failed[packs_of[path].name] = error
    failed = dict(sorted(failed.items()))
    return SweepResult(opened.write(failed), opened.csv, opened.parquet, failed)


def demo(
    out: Path,
    *,
    objectives: Sequence[str] = DEMO_OBJECTIVES,
    steps: int = 10_000,
    seeds: int = 5,
    progress: Progress = SILENT,
) -> dict[str, RunFolder]:
    """Train every objective with and without an adversary, the seeds of a cell packed into one run.

    Complete runs are kept, stopped ones are resumed.

    Args:
        out: the folder of the runs.
        objectives: names of objectives.
        steps: rounds of every game.
        seeds: games in every cell, with seeds 0, 1, ...
        progress: follows the rounds of all runs.

    Returns:
        The complete runs by name.

    Raises:
        UsageError: there is no such objective, or the folder of a cell holds a run of another recipe.
        SparringError: what the first run failed with; the others are stopped and saved.
    """
    recipes = {
        out / f"{objective}-p{probability:g}": load(
            DEMO_RECIPE,
            [f"objective={objective}", f"feedback.probability={probability}", f"steps={steps}", f"replicas={seeds}"],
        )
        for objective in objectives
        for probability in DEMO_PROBABILITIES
    }
    for path, recipe in recipes.items():
        if (path / "recipe.yaml").is_file() and RunFolder.open(path).recipe() != recipe:
            raise UsageError(f"{path}: holds a run of another recipe", "choose another --out, or remove that folder")
    with LocalExecutor() as executor:
        missing = {path: recipe for path, recipe in recipes.items() if status_of(path) != "complete"}
        for _, error in train_runs(missing, executor, progress):
            if error:
                raise error
    return {path.name: RunFolder.open(path) for path in recipes}
