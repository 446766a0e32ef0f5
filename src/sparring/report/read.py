"""A run folder read once: recipe, rows, summary, environment, and in which state the run is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.core.errors import CorruptInput, UsageError, printable
from sparring.core.files import PREFIX
from sparring.core.intervals import wilson
from sparring.core.records import MOST
from sparring.recipes import AnyRecipe, ClassifierRecipe, Recipe, require_classifier, require_game, to_yaml
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue, Summary

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One logged number over rounds: `steps (n)` and `values (n, games)`."""

    steps: Floats
    values: Floats


@dataclass(frozen=True)
class Status:
    """The state of a run: one word for its colour, and a line for the reader."""

    kind: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """Successful games at the last measurement of one run, or of several together."""

    wins: int
    games: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the share of successes."""
        return wilson(self.wins, self.games)

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.wins + other.wins, self.games + other.games)


@dataclass(frozen=True)
class Run:
    """Everything that a report says about one run comes from here."""

    name: str
    folder: RunFolder
    recipe: AnyRecipe
    rows: tuple[dict[str, Any], ...]
    summary: Summary | None
    environment: dict[str, Any]
    status: Status

    @property
    def metrics(self) -> Mapping[str, MetricValue]:
        """The final numbers; none while there is no summary."""
        return self.summary.metrics if self.summary else {}

    @property
    def seconds(self) -> float | None:
        """How long the run took; None while there is no summary."""
        return self.summary.seconds if self.summary else None

    @property
    def game(self) -> Recipe:
        """The recipe of a run that is a game.

        Raises:
            UsageError: the run trains a classifier.
        """
        return require_game(self.recipe, self.name)

    @property
    def training(self) -> ClassifierRecipe:
        """The recipe of a run that trains a classifier.

        Raises:
            UsageError: the run is a game.
        """
        return require_classifier(self.recipe, self.name)

    @property
    def resolved(self) -> dict[str, Any]:
        """The recipe as plain values, every key written out."""
        return self.recipe.model_dump(mode="json")

    @property
    def yaml(self) -> str:
        """The recipe as it stands in the run folder."""
        return to_yaml(self.recipe)

    @property
    def titles(self) -> tuple[str, ...]:
        """Every game by its seed, and by what else is its own."""
        return tuple(map(self.recipe.title, range(self.recipe.replicas)))

    @property
    def rounds(self) -> int:
        """How many rounds the log reaches."""
        return int(self.rows[-1]["step"]) if self.rows else 0

    @property
    def logged(self) -> tuple[str, ...]:
        """Every name in the log, in the order of its first row."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row if name != "step"))

    def series(self, name: str) -> Series | None:
        """A number over rounds, or None if it was never logged."""
        rows = [row for row in self.rows if name in row]
        if not rows:
            return None
        values = np.array([row[name] for row in rows], dtype=np.float64).reshape(len(rows), self.recipe.replicas)
        return Series(np.array([row["step"] for row in rows], dtype=np.float64), values)

    @property
    def outcome(self) -> Outcome | None:
        """Successes at the last measurement, or None where nothing defines a success."""
        success = self.series("success")
        if success is None:
            return None
        return Outcome(int(success.values[-1].sum()), success.values.shape[1])

    @property
    def first_successes(self) -> tuple[int | None, ...]:
        """The round of the first successful measurement of every game, None without one."""
        success = self.series("success")
        if success is None:
            return ()
        found = [np.flatnonzero(game) for game in success.values.T]
        return tuple(int(success.steps[hits[0]]) if len(hits) else None for hits in found)


def find_runs(path: Path) -> list[RunFolder]:
    """The run at this path, or all runs below it, sorted by path.

    Raises:
        UsageError: there is none.
    """
    if (path / "recipe.yaml").is_file():
        return [RunFolder.open(path)]
    found = sorted(file.parent for file in path.rglob("recipe.yaml"))
    runs = [RunFolder.open(folder) for folder in found if not _half_written(folder.relative_to(path))]
    if not runs:
        raise UsageError(f"{path}: no run here or below", "give the --out of a `sparring train`")
    return runs


def read_run(folder: RunFolder, name: str = "") -> Run:
    """Read a run folder, whatever state the run is in.

    Args:
        folder: the run.
        name: what to call it; the folder's name by default.

    Raises:
        UsageError, CorruptInput: the recipe, the log or the summary cannot be read.
    """
    recipe, rows = folder.recipe(), tuple(folder.rows())
    summary = folder.summary()
    _require_numbers(folder, rows, summary.metrics if summary else {}, recipe.replicas)
    rounds = rows[-1]["step"] if rows else 0
    status = _status(recipe, rounds, summary.status if summary else "", owned=folder.is_owned())
    current = None if status.kind == "running" else summary
    return Run(name or folder.path.resolve().name, folder, recipe, rows, current, folder.environment(), status)


def _require_numbers(
    folder: RunFolder, rows: Sequence[dict[str, Any]], metrics: Mapping[str, MetricValue], games: int
) -> None:
    """Refuse a log or a summary that has not one number for each game."""
    if rows and rows[-1]["step"] > MOST:
        raise CorruptInput(f"{folder.rows_path}: reaches no such round", "restore the file")
    for row in rows:
        for name, value in row.items():
            each = value if isinstance(value, list) else [value]
            if name != "step" and (len(each) != games or not all(map(_is_number, each))):
                cause = f"{folder.rows_path}: {printable(repr(name))} is not {games} numbers in every row"
                raise CorruptInput(cause, "restore the file")
    for name, metric in metrics.items():
        if metric.is_per_game and len(metric.estimates) != games:
            cause = f"{folder.path / 'summary.json'}: {printable(repr(name))} is not {games} numbers"
            raise CorruptInput(cause, "restore the file")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def names_of(folders: Sequence[RunFolder]) -> list[str]:
    """Short names that tell runs apart: paths below the folder that they share."""
    paths = [folder.path.resolve() for folder in folders]
    shared = os.path.commonpath([path.parent for path in paths]) if paths else ""
    return [str(path.relative_to(shared)) for path in paths]


def _half_written(path: Path) -> bool:
    return any(part.startswith(PREFIX) for part in path.parts)


def _status(recipe: AnyRecipe, rounds: int, ended: str, *, owned: bool) -> Status:
    reached = f"round {rounds:,} of {recipe.steps:,}"
    if owned:
        return Status("running", f"still running, at {reached}")
    if ended == "complete":
        return Status("complete", f"complete, {recipe.steps:,} rounds")
    if ended:
        return Status("failed", f"ended by {ended} after {reached}")
    return Status("stopped", f"stopped without a summary after {reached}; `sparring resume` continues it")
