"""The demo: the standard GAN and a robust one, with and without an adversary on D's feedback, on built-in data."""

from __future__ import annotations

from pathlib import Path

from sparring.core.errors import UsageError
from sparring.core.progress import SILENT, Progress
from sparring.recipes import load
from sparring.runs.folder import RunFolder
from sparring.sweeps.executor import LocalExecutor, status_of, train_runs

RECIPE = "dishonest/ring-small"
CELLS = {
    f"{objective}-p{probability:g}": (f"objective={objective}", f"feedback.probability={probability}")
    for objective in ("log", "square_root")
    for probability in (0.0, 0.4)
}
"""Recipe changes by name: both objectives, with and without the adversary."""
TITLE = "A GAN that survives a dishonest discriminator"


def demo(out: Path, *, steps: int = 10_000, seeds: int = 5, progress: Progress = SILENT) -> dict[str, RunFolder]:
    """Train every cell, its seeds packed into one run. Complete runs are kept, stopped ones are resumed.

    Args:
        out: the folder of the runs.
        steps: rounds of every game.
        seeds: games in every cell, with seeds 0, 1, ...
        progress: follows the rounds of all runs.

    Returns:
        The complete runs by name.

    Raises:
        UsageError: the folder of a cell holds a run of another recipe.
        SparringError: what the first run failed with; the others are stopped and saved.
    """
    recipes = {
        out / name: load(RECIPE, [*changes, f"steps={steps}", f"replicas={seeds}"]) for name, changes in CELLS.items()
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
