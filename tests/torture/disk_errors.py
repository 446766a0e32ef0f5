"""Promise 4: each operation on files that a command makes fails in turn, with a full disk or another I/O error."""

from __future__ import annotations

import errno
import json
import math
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from sparring.core.errors import Interrupted, SparringError, StorageError
from sparring.core.files import PREFIX
from sparring.core.process import Progress
from sparring.data import prepare
from sparring.data import verify as verify_store
from sparring.evaluation.samples import write_samples
from sparring.evaluation.verify import verify
from sparring.recipes import AnyRecipe
from sparring.report import report_run
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train
from torture.disk import SPENDING, operations, refusing
from torture.games import made_once, play, recipe_of, require_same
from torture.promise import Promise, Trial

_SHORT = ("steps=4", "log_every=2", "checkpoint_every=2", "evaluate_every=4")
_OWN = {"flip": ("sample_every=4",), "classifier from runs": ("steps=2",)}
"""Overrides with which a short run writes every kind of file."""
_NUMBERS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)


class Command(ABC):
    """A command, on files below a folder."""

    def prepare(self, folder: Path, shared: Path) -> None:  # noqa: B027 - most read no files
        """Make the files that the command reads."""

    @abstractmethod
    def run(self, folder: Path, shared: Path) -> None:
        """Run the command."""

    @abstractmethod
    def check_failed(self, folder: Path, shared: Path) -> None:
        """After a failure, the old files or the new ones are there."""

    @abstractmethod
    def check_done(self, folder: Path, shared: Path) -> None:
        """After success, all files are there."""


class Train(Command):
    """A new run.

    Args:
        kind: of the recipe.
    """

    def __init__(self, kind: str) -> None:
        self.kind, self.reached = kind, 0

    def recipe(self, shared: Path) -> AnyRecipe:
        return recipe_of(self.kind, shared, *_SHORT, *_OWN[self.kind])

    def whole(self, shared: Path) -> Path:
        """An undisturbed run of the same recipe."""
        return made_once(shared / f"short {self.kind}", lambda path: play(self.recipe(shared), path))

    def run(self, folder: Path, shared: Path) -> None:
        witness = _Witness()
        try:
            play(self.recipe(shared), folder / "run", witness)
        finally:
            self.reached = max(self.reached, witness.reached)

    def check_failed(self, folder: Path, shared: Path) -> None:
        if not (folder / "run").exists():
            assert not self.reached
            return
        found, problems = RunFolder.open(folder / "run").latest()
        every = self.recipe(shared).checkpoint_every
        assert not problems, problems
        assert (found.progress.step if found else 0) >= self.reached // every * every, f"of {self.reached}: {found}"

    def check_done(self, folder: Path, shared: Path) -> None:
        require_same(self.whole(shared), folder / "run")
        assert verify(folder / "run")


class Resume(Train):
    """A run that was stopped, with a half-written checkpoint of a killed process."""

    def prepare(self, folder: Path, shared: Path) -> None:
        def stopped(path: Path) -> None:
            try:
                train(self.recipe(shared), path, device="cpu", progress=_Stop())
            except Interrupted:
                return

        self.reached = 3
        shutil.copytree(made_once(shared / f"stopped {self.kind}", stopped), folder / "run")
        shutil.copytree(folder / "run" / "samples", folder / "run" / "checkpoints" / f"{PREFIX}000000004-999999999-00")

    def run(self, folder: Path, shared: Path) -> None:
        resume(folder / "run", device="cpu")


class Write(Command):
    """A command that writes one file of a complete run.

    Args:
        name: of the file.
        write: writes it.
    """

    def __init__(self, name: str, write: Callable[[Path, Path], object]) -> None:
        self.name, self.write = name, write

    def prepare(self, folder: Path, shared: Path) -> None:
        shutil.copytree(Train("flip").whole(shared), folder / "run")
        (folder / "run" / self.name).write_text("an older file")

    def run(self, folder: Path, shared: Path) -> None:
        self.write(folder / "run", folder / "run" / self.name)

    def check_failed(self, folder: Path, shared: Path) -> None:
        content = (folder / "run" / self.name).read_bytes()
        if content != b"an older file":
            self.check_done(folder, shared)

    def check_done(self, folder: Path, shared: Path) -> None:
        content = (folder / "run" / self.name).read_bytes()
        ending = {".html": b"</html>", ".npz": b"PK\x05\x06"}[Path(self.name).suffix]
        assert ending in content[-30:], "the file is not whole"


class Prepare(Command):
    """A store of the built-in digits."""

    def run(self, folder: Path, shared: Path) -> None:
        prepare("digits", folder / "parent" / "store")

    def check_failed(self, folder: Path, shared: Path) -> None:
        assert not list(folder.iterdir())

    def check_done(self, folder: Path, shared: Path) -> None:
        assert verify_store(folder / "parent" / "store")


COMMANDS: dict[str, Callable[[], Command]] = {
    "train": lambda: Train("flip"),
    "finetune": lambda: Train("classifier from runs"),
    "resume": lambda: Resume("flip"),
    "report": lambda: Write("report.html", lambda run, _page: report_run(RunFolder.open(run))),
    "sample": lambda: Write("samples.npz", lambda run, out: write_samples(run, out, count=4, seed=0, device="cpu")),
    "data prepare": Prepare,
}


def _trial(trial: Trial) -> None:
    """Let one operation of one command fail; then run the command again with a disk that works."""
    plan = _plan(trial.shared)
    name, at = plan[trial.index * _stride(len(plan)) % len(plan)]
    command, number = COMMANDS[name](), trial.draw.choice(_NUMBERS)
    command.prepare(trial.folder, trial.shared)
    lasting = SPENDING if number in (errno.ENOSPC, errno.EDQUOT) and trial.draw.random() < 0.5 else ()
    with operations(trial.folder, at, refusing(number), lasting=lasting) as disk:
        error = _refusal(lambda: command.run(trial.folder, trial.shared))
    try:
        if error is not None:
            assert error.exit_code == StorageError.exit_code, f"{type(error).__name__}: {error}"
            command.check_failed(trial.folder, trial.shared)
            command.run(trial.folder, trial.shared)
        command.check_done(trial.folder, trial.shared)
        left = list(trial.folder.rglob(f"{PREFIX}*"))
        assert not left, left
    except Exception as failure:
        failure.add_note(f"{name}, operation {at}, {disk.names[at - 1 : at]}, {errno.errorcode[number]}, {lasting}")
        raise


def _refusal(call: Callable[[], object]) -> SparringError | None:
    """The error of a command as the command line reports it, or None."""
    try:
        call()
    except SparringError as error:
        return error
    except OSError as error:
        return StorageError.from_os(error, "the file system")
    return None


def _plan(shared: Path) -> Sequence[tuple[str, int]]:
    """Every operation of every command."""

    def count(path: Path) -> None:
        path.mkdir()
        plan: list[tuple[str, int]] = []
        for name, make in COMMANDS.items():
            folder, command = path / name, make()
            folder.mkdir()
            command.prepare(folder, shared)
            if isinstance(command, Train):
                command.whole(shared)
            with operations(folder, 0, refusing(0)) as counted:
                command.run(folder, shared)
            plan += [(name, at) for at in range(1, counted.count + 1)]
        (path / "plan.json").write_text(json.dumps(plan))

    plan = json.loads((made_once(shared / "plan of disk errors", count) / "plan.json").read_text())
    return [(name, at) for name, at in plan]


def _stride(count: int) -> int:
    """A step that visits each of `count` once before the first comes again, and few neighbours in a row."""
    return next(step for step in range(round(0.618 * count), 2 * count) if math.gcd(step, count) == 1)


class _Witness(Progress):
    """Remembers the last round."""

    reached = 0

    def advance(self, done: int, total: int) -> None:
        self.reached = done


class _Stop(Progress):
    """Stops a run after its third round, as a signal does."""

    def advance(self, done: int, total: int) -> None:
        if done == 3:
            raise Interrupted("stopped", "", 15)


PROMISE = Promise(
    number=4,
    title="A full disk and every other I/O error: old or new, never neither",
    quick=16,
    long=1000,
    trial=_trial,
)
