"""A run folder: its owner, its recipe, its rows and its checkpoints."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sparring.core.errors import CorruptInput, NonFinite, StorageError, UsageError
from sparring.core.files import (
    remove_whole,
    storage_errors,
    sweep_abandoned,
    sweep_partial,
    sync,
    whole_folder,
    write_json,
    write_whole,
)
from sparring.core.shapes import Space
from sparring.core.strict import read_mapping, read_plain, sha256_of_first
from sparring.recipes import AnyRecipe, Recipe, TrainingRecipe, parse_yaml, require_game, to_yaml, validated
from sparring.runs.checkpoint import STATE, TENSORS, Checkpoint, read_checkpoint, require_sound, write_checkpoint
from sparring.runs.lock import Lock
from sparring.runs.origin import naming_the_version
from sparring.runs.rows import append_row, read_rows
from sparring.runs.saved_progress import Progress, SavedSpace
from sparring.runs.schema import SUMMARY, Summary
from sparring.runs.trust import require_trusted, trust

KEEP = 2
"""How many sound checkpoints stay: the newest, and one to fall back to."""
_LOCK = ".lock"
_LARGEST_RECIPE = 1 << 16
_FOLDERS = ("samples", "probes", "checkpoints", "tb")


@dataclass(frozen=True)
class Saved:
    """A checkpoint of a run that is sound, and belongs to this run.

    Args:
        folder: that it is in.
        tensors: by name.
        progress: how far the run was.
    """

    folder: Path
    tensors: dict[str, Tensor]
    progress: Progress

    @property
    def file(self) -> Path:
        """Where the tensors are."""
        return self.folder / TENSORS


class RunFolder:
    """The layout of a run on disk.

    Args:
        path: the run's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock(path / _LOCK)
        self.rows_path = path / "metrics.jsonl"
        self.samples = path / "samples"
        self.probes = path / "probes"
        self.checkpoints = path / "checkpoints"
        self.report = path / "report.html"

    @classmethod
    @contextmanager
    def begun(cls, path: Path, recipe: TrainingRecipe, environment: dict[str, Any]) -> Iterator[RunFolder]:
        """A new run folder, held from before anybody can see it.

        Raises:
            UsageError: the path exists and is not an empty folder, or the recipe is too long to be read back.
            FolderBusy: it holds a run that another process owns.
            StorageError: the disk refused; nothing is left behind.
        """
        path = path.resolve()
        cls.require_free(path)
        run, text = cls(path), to_yaml(recipe)
        if len(text.encode()) > _LARGEST_RECIPE:
            told = f"the recipe takes {len(text.encode()):,} bytes with every key; {_LARGEST_RECIPE:,} are read back"
            raise UsageError(f"{path}: {told}", "shorten its description, or its lists")
        with ExitStack() as held:
            try:
                with storage_errors(path), whole_folder(path) as folder:
                    (folder / "samples").mkdir()
                    (folder / "checkpoints").mkdir()
                    write_whole(folder / "recipe.yaml", text.encode())
                    write_json(folder / "environment.json", environment)
                    (folder / "metrics.jsonl").touch()
                    held.enter_context(run.lock.held(folder / _LOCK))
            except StorageError:
                cls.require_free(path)  # another process may have been first
                raise
            trust(text, recipe.model_dump(mode="json"))
            yield run

    @classmethod
    def create(cls, path: Path, recipe: TrainingRecipe, environment: dict[str, Any]) -> RunFolder:
        """A new run folder that nobody holds; as `begun`."""
        with cls.begun(path, recipe, environment) as run:
            return run

    @classmethod
    def require_free(cls, path: Path) -> None:
        """Refuse a path that a run cannot be made at.

        Raises:
            UsageError: it exists and is not an empty folder, or is the current one.
            FolderBusy: it holds a run that another process owns.
        """
        if path.resolve() == Path.cwd():
            raise UsageError(f"{path}: the current folder cannot become a run", "give --out a name of its own")
        if (path / "recipe.yaml").is_file():
            lock = cls(path).lock
            holder = lock.holder()
            if holder:
                raise lock.busy(holder)
            raise UsageError(f"{path}: holds a run already", "`sparring resume` it, or choose another --out")
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path}: already there and not empty", "choose another --out")

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run folder.

        Raises:
            UsageError: there is no run at this path.
        """
        if not (path / "recipe.yaml").is_file():
            raise UsageError(
                f"{path}: not a run folder (it has no recipe.yaml)", "give the --out of a `sparring train`"
            )
        return cls(path)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the folder; the lock ends with the process, however that ends.

        Raises:
            FolderBusy: another process holds it; names that process.
            CorruptInput: a part of it is a link, or nothing that a run could write to.
            StorageError: the disk refused.
        """
        self._require_plain()
        with self.lock.held():
            sweep_abandoned(self.path)  # a report or an evaluation may be written there now
            for folder in (self.samples, self.probes, self.checkpoints):
                sweep_partial(folder)
            yield

    def is_owned(self) -> bool:
        """Whether a process holds the folder now; leaves no trace."""
        return self.lock.holder() is not None

    def environment(self) -> dict[str, Any]:
        """environment.json, or an empty mapping without one."""
        return self._json("environment.json")

    def recipe(self) -> AnyRecipe:
        """The resolved recipe of the run.

        Raises:
            CorruptInput: it is damaged, not a recipe, or names code that this user neither started nor allows.
            StorageError: it cannot be read.
        """
        path = self.path / "recipe.yaml"
        try:
            text = self._recipe_text().decode()
        except UnicodeDecodeError as error:
            raise CorruptInput(f"{path}: not text ({error})", "restore the file") from None
        with naming_the_version(self.path):
            values = parse_yaml(text, str(path))
            require_trusted(path, text, values)
            return validated(values, str(path))

    def _recipe_text(self) -> bytes:
        with storage_errors(self.path):
            return read_plain(self.path / "recipe.yaml", _LARGEST_RECIPE)

    def game_recipe(self) -> Recipe:
        """The resolved recipe of a run that is a game.

        Raises:
            UsageError: the run trains a classifier.
        """
        return require_game(self.recipe(), str(self.path))

    def append_row(self, row: dict[str, Any]) -> None:
        """Add one row to the log; as `rows.append_row`.

        Raises:
            FolderBusy: another process may have taken the folder over.
        """
        self.lock.require()
        append_row(self.rows_path, row)

    def rows(self) -> list[dict[str, Any]]:
        """All complete rows of the log, oldest first; as `rows.read_rows`."""
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
        """Write the checkpoint after `step` rounds, read it back, then drop all older than the two newest good ones.

        One that is there already is sound: `rewind` leaves no other.

        Args:
            step: rounds played.
            tensors: the state, by name.
            seconds: time spent on them.
            threads: CPU threads that played them.
            space: of the samples.
            processes: that played them together.

        Raises:
            NonFinite: the state holds a number that is not finite.
            FolderBusy: another process may have taken the folder over.
            StorageError: the disk refused; the earlier checkpoints are untouched.
        """
        self.lock.require()
        if self._checkpoint(step).exists():
            return
        bad = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)
        if bad is not None:
            raise NonFinite(f"round {step}: not finite: {bad} of the state to save", "train again with lower rates")
        with storage_errors(self.rows_path):
            sync(self.rows_path)
            log_bytes = self.rows_path.stat().st_size
            log_sha256 = sha256_of_first(self.rows_path, log_bytes)
        progress = Progress(
            step=step,
            seconds=seconds,
            threads=threads,
            processes=processes,
            space=SavedSpace.of(space),
            recipe_sha256=self._recipe_sha256(),
            log_bytes=log_bytes,
            log_sha256=log_sha256,
        )
        write_checkpoint(self._checkpoint(step), Checkpoint(tensors, progress.model_dump(mode="json")))
        self._prune(step)

    def _prune(self, newest: int) -> None:
        """Drop what is older than the newest checkpoint, which is sound, and the sound ones that stay beside it."""
        older = [folder for folder in reversed(self.saved()) if int(folder.name) < newest]
        sound = 1
        for folder in older:
            with suppress(CorruptInput, OSError):  # what cannot be removed now is removed after the next save
                if sound == KEEP:
                    remove_whole(folder)
                else:
                    require_sound(folder)
                    sound += 1

    def latest(self) -> tuple[Saved | None, list[str]]:
        """The newest checkpoint that is sound, or None before the first; and what was wrong with newer ones.

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

    def read(self, folder: Path) -> Saved:
        """One of the checkpoints.

        Raises:
            CorruptInput: it is damaged, of another run, or the log has lost rows that it goes with.
            StorageError: it cannot be read.
        """
        checkpoint = read_checkpoint(folder)
        progress, remedy = Progress.of(checkpoint, str(folder)), "restore the file, or the checkpoint"
        if progress.step != int(folder.name):
            raise CorruptInput(f"{folder / STATE}: of round {progress.step}", remedy)
        if progress.recipe_sha256 != self._recipe_sha256():
            raise CorruptInput(f"{folder}: saved under another recipe than {self.path / 'recipe.yaml'}", remedy)
        with storage_errors(self.rows_path):
            if sha256_of_first(self.rows_path, progress.log_bytes) != progress.log_sha256:
                raise CorruptInput(f"{self.rows_path}: changed since round {progress.step} was saved", remedy)
        return Saved(folder, checkpoint.tensors, progress)

    def rewind(self, step: int, log_bytes: int) -> None:
        """Go back to what the folder was after `step` rounds; later checkpoints are damaged, later rows come again.

        Raises:
            StorageError: the disk refused.
        """
        with storage_errors(self.path):
            for folder in self.saved():
                if int(folder.name) > step:
                    remove_whole(folder)
            with open(self.rows_path, "ab") as file:
                file.truncate(log_bytes)

    def write_summary(self, summary: Summary) -> None:
        """Write summary.json.

        Raises:
            FolderBusy: another process may have taken the folder over.
            StorageError: the disk refused.
        """
        self.lock.require()
        summary.write(self.path / SUMMARY)

    def summary(self) -> Summary | None:
        """summary.json; None while there is none.

        Raises:
            CorruptInput: it is damaged.
            StorageError: it cannot be read.
        """
        path = self.path / SUMMARY
        return Summary.read(path) if os.path.lexists(path) else None

    def _json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        with storage_errors(path):
            return read_mapping(path) if os.path.lexists(path) else {}

    def saved(self) -> list[Path]:
        """Where the checkpoints are, oldest first; whether they are sound is another question."""
        named = re.compile(r"[0-9]{9,18}")
        with storage_errors(self.checkpoints):
            found = [entry for entry in self.checkpoints.iterdir() if named.fullmatch(entry.name)]
        return sorted(found, key=lambda entry: int(entry.name))

    def _checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"{step:09d}"

    def _recipe_sha256(self) -> str:
        return hashlib.sha256(self._recipe_text()).hexdigest()

    def _require_plain(self) -> None:
        """Refuse to write through links, which may lead anywhere, and to what is no file or folder."""
        there = {name: self.path / name for name in (*_FOLDERS, self.rows_path.name)}
        for name, path in there.items():
            kind = path.is_dir if name in _FOLDERS else path.is_file
            if os.path.lexists(path) and (path.is_symlink() or not kind()):
                told = f"{path}: not a plain {'folder' if name in _FOLDERS else 'file'}"
                raise CorruptInput(told, "put back what the run had there; nothing is written through links")
