"""The main job on built-in data: the standard GAN and a robust one, with and without an adversary on D's feedback.

Every cell packs its seeds into one game; cells run side by side, one process a core. A cell that is complete is kept,
one that was stopped is resumed.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path
from typing import Any

from sparring.engine import RunFolder, resume, train
from sparring.errors import UsageError
from sparring.recipes import Recipe, load
from sparring.report import report_runs

RECIPE = "dishonest/ring-small"
ROBUST = "square_root"
CELLS = {
    f"{objective}-p{probability:g}": (f"objective={objective}", f"feedback.probability={probability}")
    for objective in ("log", ROBUST)
    for probability in (0.0, 0.4)
}
"""Both objectives, with and without the adversary."""

GRACE = 5.0
"""Seconds that a worker has to save its game."""
TITLE = "A GAN that survives a dishonest discriminator"
_progress: SynchronizedArray[int]


@dataclass(frozen=True)
class Outcome:
    """What came out of one cell."""

    recipe: Recipe
    summary: dict[str, Any]


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
    recipes = {name: load(RECIPE, [*changes, *overrides]) for name, changes in CELLS.items()}
    for name, recipe in recipes.items():
        _require_same(out / name, recipe)
    _play_all(out, recipes, played or (lambda _done, _total: None))
    runs = {name: RunFolder.open(out / name) for name in recipes}
    outcomes = {name: Outcome(recipes[name], run.summary()) for name, run in runs.items()}
    return Demo(report_runs(list(runs.values()), out / "report.html", title=TITLE), outcomes)


def _require_same(path: Path, recipe: Recipe) -> None:
    if (path / "recipe.yaml").is_file() and RunFolder.open(path).recipe() != recipe:
        raise UsageError(f"{path}: holds a run of another recipe", "choose another --out, or remove that folder")


def _play_all(out: Path, recipes: dict[str, Recipe], played: Callable[[int, int], None]) -> None:
    total = sum(recipe.steps for recipe in recipes.values())
    context = multiprocessing.get_context("spawn")
    progress = context.Array("q", len(recipes))
    workers = min(len(recipes), os.cpu_count() or 1)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(progress,))
    pending: set[Future[None]] = {
        pool.submit(_play, index, out / name, recipe.model_dump(mode="json"))
        for index, (name, recipe) in enumerate(recipes.items())
    }
    try:
        while pending:
            finished, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
            played(sum(progress[:]), total)
            for future in finished:
                future.result()
    except BaseException:
        workers_left = multiprocessing.active_children()
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers_left:
            _stop(worker)
        raise
    pool.shutdown()


def _stop(worker: BaseProcess) -> None:
    """Ask a worker to end until it has; it saves its game on the signal, and may have fetched one more."""
    while worker.is_alive():
        worker.terminate()
        worker.join(GRACE)


def _start_worker(progress: SynchronizedArray[int]) -> None:
    import torch

    global _progress  # a shared array reaches a spawned worker only through its initializer
    _progress = progress
    torch.set_num_threads(1)


class _Counting:
    """A spectator that writes its count where the parent process reads it."""

    def __init__(self, index: int) -> None:
        self._index = index

    def note(self, text: str) -> None:
        pass

    def played(self, done: int, total: int) -> None:
        _progress[self._index] = done


def _play(index: int, path: Path, values: dict[str, Any]) -> None:
    recipe, spectator = Recipe.model_validate(values), _Counting(index)
    if not (path / "recipe.yaml").is_file():
        train(recipe, path, device="cpu", spectator=spectator)
    elif RunFolder.open(path).summary().get("status") != "complete":
        resume(path, device="cpu", spectator=spectator)
    spectator.played(recipe.steps, recipe.steps)
