"""The main job on built-in data: the standard GAN and a robust one, with and without an adversary on D's feedback.

Every cell packs its seeds into one game; cells run side by side, one process a core. A cell that is complete is kept,
one that was stopped is resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sparring.core.errors import UsageError
from sparring.recipes import Recipe, load, require_game
from sparring.report import report_runs
from sparring.runs.folder import RunFolder
from sparring.runs.schema import SUMMARY, Summary
from sparring.sweeps.side_by_side import Strict, play_side_by_side
from sparring.sweeps.workers import Processes

RECIPE = "dishonest/ring-small"
ROBUST = "square_root"
CELLS = {
    f"{objective}-p{probability:g}": (f"objective={objective}", f"feedback.probability={probability}")
    for objective in ("log", ROBUST)
    for probability in (0.0, 0.4)
}
"""Both objectives, with and without the adversary."""
TITLE = "A GAN that survives a dishonest discriminator"


@dataclass(frozen=True)
class Outcome:
    """What came out of one cell."""

    recipe: Recipe
    summary: Summary


@dataclass(frozen=True)
class Demo:
    """The demo's page, and its cells by name."""

    report: Path
    outcomes: dict[str, Outcome]


def demo(out: Path, *, steps: int = 10_000, seeds: int = 5, played: Callable[[int, int], None] | None = None) -> Demo:
    """Play every cell and write the page.

    Args:
        out: the folder of the runs and of report.html.
        steps: rounds of every game.
        seeds: games a cell, with seeds 0, 1, ...
        played: told how many rounds of all cells are played, and how many there are.

    Raises:
        UsageError: a cell's folder holds a run of another recipe.
    """
    overrides = (f"steps={steps}", f"replicas={seeds}")
    recipes = {name: require_game(load(RECIPE, [*changes, *overrides]), RECIPE) for name, changes in CELLS.items()}
    for name, recipe in recipes.items():
        _require_same(out / name, recipe)
    cells = {out / name: recipe for name, recipe in recipes.items()}
    play_side_by_side(cells, Strict(played or (lambda _done, _total: None)), Processes())
    runs = {name: RunFolder.open(out / name) for name in recipes}
    outcomes = {name: Outcome(recipes[name], Summary.read(run.path / SUMMARY)) for name, run in runs.items()}
    return Demo(report_runs(list(runs.values()), out / "report.html", title=TITLE), outcomes)


def _require_same(path: Path, recipe: Recipe) -> None:
    if (path / "recipe.yaml").is_file() and RunFolder.open(path).recipe() != recipe:
        raise UsageError(f"{path}: holds a run of another recipe", "choose another --out, or remove that folder")
