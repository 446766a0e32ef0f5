"""A run folder: its owner, its recipe, its log and its checkpoints."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from sparring.core.errors import CorruptInput, NonFinite, StorageError, UsageError
from sparring.core.files import (
    json_bytes,
    read_file,
    read_json,
    remove_whole,
    sha256,
    storage_errors,
    sweep_partial,
    whole_folder,
    write_json,
    write_whole,
)
from sparring.core.shapes import Space
from sparring.recipes import AnyRecipe, Recipe, TrainingRecipe, parse_yaml, require_game, to_yaml, validated
from sparring.runs import aborted, lock
from sparring.runs.checkpoint import STATE, Checkpoint, CheckpointProgress, SavedRun, write_checkpoint
from sparring.runs.environment import naming_the_version
from sparring.runs.length import require_recipe
from sparring.runs.log import append_row, read_rows, require_start, synced_content, truncate
from sparring.runs.schema import SUMMARY, Summary
from sparring.runs.trust import require_importable, require_trusted, trust

KEEP = 2
"""Checkpoints that stay: the newest, and one to fall back to."""


class RunFolder:
    """The layout of a run on disk.

    Args:
        path: the run's folder.
    """

    def __init__(self, path: Path) -> None:
        path = Path(path)  # users give strings
        self.path = path
        self.recipe_path = path / "recipe.yaml"
        self.rows_path = path / "metrics.jsonl"
        self.samples = path / "samples"
        self.probes = path / "probes"
        self.checkpoints = path / "checkpoints"
        self.report = path / "report.html"

    @classmethod
    @contextmanager
    def created(cls, path: Path, recipe: TrainingRecipe, environment: dict[str, Any]) -> Iterator[RunFolder]:
        """A new run folder that this process owns from the moment at which it appears.

        The folder of a run that ended before its first checkpoint is begun anew.

        Raises:
            UsageError: the path exists and is neither an empty folder nor such a run.
            FolderBusy: it holds a run that another process owns.
            StorageError: the disk refused; nothing is left behind.
        """
        path = Path(path).resolve()
        cls.require_free(path)
        text = to_yaml(recipe)
        with ExitStack() as owned:
            if cls(path).recipe_path.is_file():
                owned.enter_context(lock.owned(path))
                aborted.clear(path)
                write_json(path / "environment.json", environment)
                write_whole(path / "recipe.yaml", text.encode())
            else:
                cls._make(path, text, environment, owned)
            trust(text, recipe.model_dump(mode="json"))
            yield cls(path)

    @classmethod
    def _make(cls, path: Path, recipe: str, environment: dict[str, Any], owned: ExitStack) -> None:
        try:
            with storage_errors(path), whole_folder(path) as folder:
                (folder / "samples").mkdir()
                (folder / "checkpoints").mkdir()
                (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
                (folder / "environment.json").write_bytes(json_bytes(environment))
                (folder / "metrics.jsonl").touch()
                owned.enter_context(lock.owned(path, place=folder))
        except StorageError:
            cls.require_free(path)  # another process may have been first
            raise

    @classmethod
    def require_free(cls, path: Path) -> None:
        """Refuse a path that a run cannot be made at.

        Raises:
            UsageError: it exists and is neither an empty folder nor that of a run that ended before its first
                checkpoint; or it is the current folder.
            FolderBusy: it holds a run that another process owns.
        """
        path = Path(path)
        if path.resolve() == Path.cwd():
            raise UsageError(f"{path}: the current folder cannot become a run", "give --out a name of its own")
        if cls(path).recipe_path.is_file():
            owner = lock.owner(path)
            if owner:
                raise lock.busy(path, owner)
            aborted.require_aborted(path)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path}: already there and not empty", "choose another --out")

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run folder.

        Raises:
            UsageError: there is no run at this path.
        """
        if not (Path(path) / "recipe.yaml").is_file():
            raise UsageError(f"{path}: not a run folder: no recipe.yaml", "give the --out of a `sparring train`")
        return cls(path)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """A block in which this process owns the folder.

        Raises:
            FolderBusy: another process owns it; the message names that process.
            StorageError: the disk refused.
        """
        with lock.owned(self.path):
            for folder in (self.path, self.samples, self.probes, self.checkpoints):
                sweep_partial(folder)
            yield

    def is_owned(self) -> bool:
        """Whether a process owns the folder now."""
        return lock.owner(self.path) is not None

    def environment(self) -> dict[str, Any]:
        """environment.json, or an empty mapping without one."""
        path = self.path / "environment.json"
        return read_json(path) if path.exists() else {}

    def recipe(self) -> AnyRecipe:
        """The resolved recipe of the run.

        Raises:
            CorruptInput: it is damaged, not a recipe, or names code that this user neither started nor allows.
            UsageError: it names code that cannot be imported from here.
            StorageError: it cannot be read.
        """
        path = self.recipe_path
        try:
            text = read_file(path).decode()
        except UnicodeDecodeError as error:
            raise CorruptInput(f"{path}: not text ({error})", "restore the file") from None
        with naming_the_version(self.path):
            values = parse_yaml(text, str(path))
            require_trusted(path, text, values)
        require_importable(path, values)
        with naming_the_version(self.path):
            return validated(values, str(path))

    def game_recipe(self) -> Recipe:
        """The resolved recipe of a run that trains a GAN.

        Raises:
            UsageError: the run trains a classifier.
        """
        return require_game(self.recipe(), str(self.path))

    def append_row(self, row: dict[str, Any]) -> None:
        """Add one row to the log; as `log.append_row`."""
        append_row(self.rows_path, row)

    def rows(self) -> list[dict[str, Any]]:
        """All complete rows of the log, oldest first; as `log.read_rows`."""
        return read_rows(self.rows_path)

    def save(
        self,
        step: int,
        tensors: dict[str, Tensor],
        *,
        seconds: float,
        threads: int,
        space: Space,
        processes: int = 1,
    ) -> None:
        """Write the checkpoint after `step` rounds, then drop all but the newest two.

        A checkpoint of this step that exists is sound: `rewind` leaves no other.

        Args:
            step, seconds, threads, space, processes: as in `CheckpointProgress`.
            tensors: the state, by name.

        Raises:
            NonFinite: the state holds a number that is not finite.
            StorageError: the disk refused; the earlier checkpoints are untouched.
        """
        if self._checkpoint(step).exists():
            return
        bad = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)
        if bad is not None:
            raise NonFinite(f"round {step}: not finite: {bad} of the state to save", "train again with lower rates")
        log = synced_content(self.rows_path)
        progress = CheckpointProgress(
            step=step,
            seconds=seconds,
            threads=threads,
            processes=processes,
            space=space,
            recipe_sha256=sha256(self.recipe_path),
            log_bytes=len(log),
            log_sha256=hashlib.sha256(log).hexdigest(),
        )
        write_checkpoint(self._checkpoint(step), Checkpoint(tensors, progress.model_dump(mode="json")))
        for folder in self.saved()[:-KEEP]:
            with suppress(OSError):  # removed after the next save, if not now
                remove_whole(folder)

    def latest(self) -> tuple[SavedRun | None, list[str]]:
        """The newest sound checkpoint, or None before the first; and what is wrong with newer ones.

        Raises:
            CorruptInput: there are checkpoints, and none is sound.
            StorageError: one cannot be read.
        """
        problems: list[str] = []
        for folder in reversed(self.saved()):
            try:
                return self.read(folder), problems
            except CorruptInput as error:
                problems.append(error.cause)
        with naming_the_version(self.path):
            if problems:
                raise CorruptInput("; ".join(problems), "restore a checkpoint, or train again in another folder")
        return None, []

    def read(self, folder: Path) -> SavedRun:
        """One of the checkpoints.

        Raises:
            CorruptInput: it is damaged, of another run, or the log has lost rows that belong to it.
            StorageError: it cannot be read.
        """
        saved, remedy = SavedRun.read(folder), "restore the file, or the checkpoint"
        progress = saved.progress
        if progress.step != int(folder.name):
            raise CorruptInput(f"{folder / STATE}: of round {progress.step}", remedy)
        require_recipe(self.path, progress.recipe_sha256, folder)
        require_start(self.rows_path, progress.log_bytes, progress.log_sha256)
        return saved

    def rewind(self, step: int, log_bytes: int) -> None:
        """Go back to the folder as it was after `step` rounds, before they were summed up.

        Later checkpoints are damaged, later rows come again, and so does the summary.

        Raises:
            StorageError: the disk refused.
        """
        with storage_errors(self.path):
            for folder in self.saved():
                if int(folder.name) > step:
                    remove_whole(folder)
            (self.path / SUMMARY).unlink(missing_ok=True)
        truncate(self.rows_path, log_bytes)

    def write_summary(self, summary: Summary) -> None:
        """Write summary.json; as `Summary.write`."""
        summary.write(self.path / SUMMARY)

    def summary(self) -> Summary | None:
        """summary.json; None without one.

        Raises:
            CorruptInput: it is damaged.
            StorageError: it cannot be read.
        """
        path = self.path / SUMMARY
        return Summary.read(path) if path.exists() else None

    def saved(self) -> list[Path]:
        """The folders of the checkpoints, oldest first, sound or not."""
        with storage_errors(self.checkpoints):
            folders = [entry for entry in self.checkpoints.iterdir() if re.fullmatch(r"[0-9]{9,}", entry.name)]
        return sorted(folders, key=lambda folder: int(folder.name))

    def _checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"{step:09d}"
