"""A run folder: its owner, its recipe, its rows and its checkpoints."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sparring.engine.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from sparring.engine.lock import Lock
from sparring.errors import CorruptInput, StorageError, UsageError
from sparring.files import storage_errors, sweep_partial, sync, whole_folder, write_json, write_whole
from sparring.recipes import AnyRecipe, Recipe, TrainingRecipe, parse_yaml, require_game, to_yaml, validated

KEEP = 2
"""How many checkpoints stay: the newest, and one to fall back to."""
_LOCK = ".lock"


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
            UsageError: the path exists and is not an empty folder.
            FolderBusy: it holds a run that another process owns.
            StorageError: the disk refused; nothing is left behind.
        """
        path = path.resolve()
        cls.require_free(path)
        with ExitStack() as held:
            try:
                with storage_errors(path), whole_folder(path) as folder:
                    (folder / "samples").mkdir()
                    (folder / "checkpoints").mkdir()
                    write_whole(folder / "recipe.yaml", to_yaml(recipe).encode())
                    write_json(folder / "environment.json", environment)
                    (folder / "metrics.jsonl").touch()
                    held.enter_context(Lock(folder / _LOCK).held())
            except StorageError:
                cls.require_free(path)  # another process may have been first
                raise
            yield cls(path)

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
            CorruptInput: something else lies where the lock file belongs.
        """
        with self.lock.held():
            for folder in (self.path, self.samples, self.probes, self.checkpoints):
                sweep_partial(folder)
            yield

    def is_owned(self) -> bool:
        """Whether a process holds the folder now; leaves no trace."""
        return self.lock.holder() is not None

    def environment(self) -> dict[str, Any]:
        """environment.json, or an empty mapping without one."""
        return self._json("environment.json")

    def recipe(self) -> AnyRecipe:
        """The resolved recipe of the run."""
        text = (self.path / "recipe.yaml").read_text(encoding="utf-8")
        return validated(parse_yaml(text, str(self.path / "recipe.yaml")), str(self.path / "recipe.yaml"))

    def game_recipe(self) -> Recipe:
        """The resolved recipe of a run that is a game.

        Raises:
            UsageError: the run trains a classifier.
        """
        return require_game(self.recipe(), str(self.path))

    def append_row(self, row: dict[str, Any]) -> None:
        """Add one row to the log.

        Raises:
            StorageError: the disk refused.
        """
        with storage_errors(self.rows_path), open(self.rows_path, "ab") as file:
            file.write((json.dumps(row, allow_nan=False) + "\n").encode())

    def rows(self) -> list[dict[str, Any]]:
        """All complete rows of the log, oldest first."""
        if not self.rows_path.is_file():
            return []
        lines = self.rows_path.read_bytes().split(b"\n")[:-1]
        try:
            return [json.loads(line) for line in lines]
        except ValueError as error:
            raise CorruptInput(f"{self.rows_path}: not JSON lines ({error})", "restore the file") from None

    def save(self, step: int, checkpoint: Checkpoint) -> None:
        """Write the checkpoint after `step` rounds, with the length of the log, then drop the oldest.

        Raises:
            StorageError: the disk refused; the earlier checkpoints are untouched.
        """
        target = self.checkpoints / f"{step:09d}"
        if target.exists():
            return
        with storage_errors(self.rows_path):
            sync(self.rows_path)
        state = checkpoint.state | {"step": step, "log_bytes": self.rows_path.stat().st_size}
        write_checkpoint(target, Checkpoint(checkpoint.tensors, state))
        for old in self.saved()[:-KEEP]:
            shutil.rmtree(old, ignore_errors=True)

    def latest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that is sound, or None before the first; and what was wrong with newer ones.

        Raises:
            CorruptInput: there are checkpoints, and none is sound.
        """
        saved = self.saved()
        problems: list[str] = []
        for folder in reversed(saved):
            try:
                return read_checkpoint(folder), problems
            except CorruptInput as error:
                problems.append(error.cause)
        if saved:
            raise CorruptInput("; ".join(problems), "restore a checkpoint, or train again in another folder")
        return None, []

    def rewind(self, step: int, log_bytes: int) -> None:
        """Go back to what the folder was after `step` rounds; later checkpoints are damaged, later rows come again.

        A checkpoint is written before the row of its round: that row may follow it, and stays.

        Raises:
            CorruptInput: the log is shorter than it was then.
        """
        for folder in self.saved():
            if int(folder.name) > step:
                shutil.rmtree(folder, ignore_errors=True)
        if self.rows_path.stat().st_size < log_bytes:
            raise CorruptInput(f"{self.rows_path}: shorter than at the last checkpoint", "restore the file")
        with open(self.rows_path, "rb") as file:
            file.seek(log_bytes)
            row = file.readline()
        os.truncate(self.rows_path, log_bytes + (len(row) if _tells_of(row, step) else 0))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json."""
        write_json(self.path / "summary.json", summary)

    def summary(self) -> dict[str, Any]:
        """summary.json, or an empty mapping while there is none."""
        return self._json("summary.json")

    def _json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
        except ValueError as error:
            raise CorruptInput(f"{path}: not JSON ({error})", "restore the file") from None
        return found

    def saved(self) -> list[Path]:
        """The checkpoint folders, oldest first."""
        return sorted(folder for folder in self.checkpoints.glob("[0-9]*") if folder.is_dir())


def _tells_of(row: bytes, step: int) -> bool:
    """Whether a line of the log is whole, and of no later round."""
    try:
        return row.endswith(b"\n") and json.loads(row)["step"] <= step
    except (ValueError, KeyError, TypeError):
        return False
