"""A run folder read once: recipe, log, summary, robustness, environment and status; and the arrays and pictures in it.

Optional files (pictures, arrays, robustness.json) that are missing or damaged are None, and the page says so.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from sparring.core.errors import CorruptInput, SparringError, UsageError
from sparring.core.files import PREFIX
from sparring.core.intervals import wilson
from sparring.data import Facts
from sparring.recipes import AnyRecipe
from sparring.runs.folder import RunFolder
from sparring.runs.robustness_schema import ROBUSTNESS, Robustness
from sparring.runs.schema import MetricValue, Summary

_OF_ROWS = ("step", "seconds")
"""What every row of the log has, one number for all games."""
Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Series:
    """One logged number over rounds: `steps (n)` and `values (n, games)`."""

    steps: Floats
    values: Floats


@dataclass(frozen=True)
class RunStatus:
    """The state of a run: one word that chooses its colour, and a line of text."""

    kind: str
    text: str


@dataclass(frozen=True)
class Successes:
    """Successful games at the last measurement of one run, or of several together."""

    wins: int
    games: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the share of successes."""
        return wilson(self.wins, self.games)


@dataclass(frozen=True)
class RunRecord:
    """Everything that a page shows of one run comes from here.

    Args:
        name: shown on the page.
        folder: of the run.
        recipe: resolved.
        rows: of the log.
        metrics: the final numbers; none while there is no summary.
        seconds: training time; None while there is no summary.
        verdict: what happened, in one sentence; empty while there is no summary, and in those of earlier versions.
        environment: versions, hardware, seed.
        status: of the run.
    """

    name: str
    folder: RunFolder
    recipe: AnyRecipe
    rows: tuple[dict[str, Any], ...]
    metrics: Mapping[str, MetricValue]
    seconds: float | None
    verdict: str
    environment: dict[str, Any]
    status: RunStatus

    @property
    def titles(self) -> tuple[str, ...]:
        """The title of every game: its seed."""
        return tuple(map(self.recipe.title, range(self.recipe.replicas)))

    @cached_property
    def facts(self) -> Facts | None:
        """What is known of the data; None if they cannot be opened here."""
        with suppress(SparringError, OSError):
            return self.recipe.data.open(torch.device("cpu")).facts
        return None

    @property
    def logged(self) -> tuple[str, ...]:
        """Every name in the log, in the order of its first row."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row if name not in _OF_ROWS))

    @property
    def rounds(self) -> int:
        """The last round in the log."""
        return self.rows[-1]["step"] if self.rows else 0

    @property
    def has_seconds(self) -> bool:
        """Whether the log has times; those of earlier versions have none."""
        return all("seconds" in row for row in self.rows)

    def series(self, name: str) -> Series | None:
        """A number over rounds, or None if it was never logged."""
        rows = [row for row in self.rows if name in row]
        if not rows:
            return None
        values = np.array([row[name] for row in rows], dtype=np.float64).reshape(len(rows), self.recipe.replicas)
        return Series(np.array([row["step"] for row in rows], dtype=np.float64), values)

    @property
    def successes(self) -> Successes | None:
        """Successes at the last measurement; None if the data define none."""
        success = self.series("success")
        return None if success is None else Successes(int(success.values[-1].sum()), success.values.shape[1])

    @property
    def first_successes(self) -> tuple[int | None, ...]:
        """The round of the first success of every game; None for games without one."""
        success = self.series("success")
        if success is None:
            return ()
        hits = [np.flatnonzero(game) for game in success.values.T]
        return tuple(int(success.steps[places[0]]) if len(places) else None for places in hits)

    @property
    def divergences(self) -> dict[str, int]:
        """The rounds in which games diverged, by title."""
        rounds = self.metrics["diverged"].estimates if "diverged" in self.metrics else ()
        return {title: int(at.value) for title, at in zip(self.titles, rounds, strict=False) if at.value is not None}

    @cached_property
    def robustness(self) -> Robustness | None:
        """robustness.json; None if there is none or it is damaged."""
        with suppress(CorruptInput):
            return Robustness.read(self.folder.path / ROBUSTNESS)
        return None

    @property
    def lacks_robustness(self) -> bool:
        """Whether there is a robustness.json that cannot be read."""
        return self.robustness is None and (self.folder.path / ROBUSTNESS).is_file()


def find_runs(path: Path) -> list[RunFolder]:
    """The run at this path, or all runs below it, sorted by path.

    Raises:
        UsageError: there is none.
    """
    if (path / "recipe.yaml").is_file():
        return [RunFolder.open(path)]
    folders = sorted(file.parent for file in path.rglob("recipe.yaml"))
    whole = [
        folder for folder in folders if not any(part.startswith(PREFIX) for part in folder.relative_to(path).parts)
    ]
    if not whole:
        raise UsageError(f"{path}: no run here or below", "give the --out of a `sparring train`")
    return [RunFolder.open(folder) for folder in whole]


def read_run(folder: RunFolder, name: str = "") -> RunRecord:
    """Read a run folder, in any state of the run.

    Args:
        folder: the run.
        name: shown on the page; the folder's name by default.

    Raises:
        UsageError, CorruptInput: the recipe, the log or the summary cannot be read.
    """
    recipe, rows, summary = folder.recipe(), tuple(folder.rows()), folder.summary()
    status = _status(recipe, rows[-1]["step"] if rows else 0, summary, is_owned=folder.is_owned())
    shown, environment = name or folder.path.resolve().name, folder.environment()
    if summary is None or status.kind == "running":
        return RunRecord(shown, folder, recipe, rows, {}, None, "", environment, status)
    return RunRecord(
        shown, folder, recipe, rows, summary.metrics, summary.seconds, summary.verdict, environment, status
    )


def names_of(folders: Sequence[RunFolder]) -> list[str]:
    """Short distinct names of runs: their paths below the folder that they share."""
    paths = [folder.path.resolve() for folder in folders]
    shared = os.path.commonpath([path.parent for path in paths]) if paths else ""
    return [str(path.relative_to(shared)) for path in paths]


def load_arrays(path: Path, names: Sequence[str]) -> Arrays | None:
    """Named arrays of an .npz file, without pickles; None if it is missing or damaged, or lacks one of them."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except Exception:  # NumPy and zipfile raise many types on damaged files
        return None


def load_picture(path: Path) -> Image.Image | None:
    """The picture of a PNG file, in grey or in colour; None if it is damaged."""
    try:
        with Image.open(path, formats=("PNG",)) as opened:
            return opened.convert("L" if opened.mode in ("1", "L") else "RGB")
    except Exception:  # Pillow raises many types on damaged files
        return None


def _status(recipe: AnyRecipe, rounds: int, summary: Summary | None, *, is_owned: bool) -> RunStatus:
    reached = f"round {rounds:,} of {recipe.steps:,}"
    if is_owned:
        return RunStatus("running", f"still running, at {reached}")
    if summary is None:
        return RunStatus("stopped", f"stopped without a summary after {reached}; `sparring resume` continues it")
    if summary.status == "complete":
        return RunStatus("complete", f"complete, {recipe.steps:,} rounds")
    return RunStatus("failed", f"ended by {summary.status} after {reached}")
