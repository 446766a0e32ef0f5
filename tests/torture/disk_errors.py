"""Promise 4: of all operations on files that a command makes, each fails in turn; and disks that are full for real."""

from __future__ import annotations

import errno
import json
import math
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from sparring.core.errors import Interrupted
from sparring.core.files import PREFIX
from sparring.core.progress import Nobody
from sparring.data import prepare
from sparring.data import verify as verify_store
from sparring.evaluation.evaluate import evaluate
from sparring.evaluation.samples import write_samples
from sparring.evaluation.verify import verify
from sparring.recipes import AnyRecipe
from sparring.report import report_run
from sparring.robustness.evaluate import evaluate_robustness, robust_options
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train
from torture.disk import SPENDING, operations, refusing
from torture.games import made_once, play, recipe_of, require_same
from torture.promise import Promise, Trial
from torture.refusals import refusal
from torture.small_disk import can_mount, on_small_disk

_SHORT = ("steps=4", "log_every=2", "checkpoint_every=2", "evaluate_every=4")
_OWN = {
    "flip": ("sample_every=4",),
    "images": ("steps=1", "sample_every=1"),
    "classifier": (),
    "classifier from runs": ("steps=2",),
}
"""What each recipe needs to come to all of its files soon."""
_NUMBERS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)
_PAGE = 4096
_PAGES = range(2, 60, 3)
"""Sizes of the real disks: from too small for the folder of a run to large enough for all of it."""


class Verb(ABC):
    """A command, on files below a folder."""

    @abstractmethod
    def prepare(self, folder: Path, shared: Path) -> None:
        """Put there what the command works on."""

    @abstractmethod
    def go(self, folder: Path, shared: Path) -> None:
        """The command."""

    @abstractmethod
    def failed(self, folder: Path, shared: Path) -> None:
        """After it failed, what was there is there, or what should be: never neither."""

    @abstractmethod
    def done(self, folder: Path, shared: Path) -> None:
        """After it succeeded, everything is there."""


class Train(Verb):
    """A new run.

    Args:
        kind: of the recipe.
    """

    def __init__(self, kind: str) -> None:
        self.kind, self.reached = kind, 0

    def prepare(self, folder: Path, shared: Path) -> None:
        pass

    def recipe(self, shared: Path) -> AnyRecipe:
        return recipe_of(self.kind, shared, *_SHORT, *_OWN[self.kind])

    def whole(self, shared: Path) -> Path:
        """A run of the same recipe that nothing happened to."""
        return made_once(shared / f"short {self.kind}", lambda path: play(self.recipe(shared), path))

    def go(self, folder: Path, shared: Path) -> None:
        witness = _Witness()
        try:
            play(self.recipe(shared), folder / "run", witness)
        finally:
            self.reached = max(self.reached, witness.reached)

    def failed(self, folder: Path, shared: Path) -> None:
        if not (folder / "run").exists():
            assert not self.reached
            return
        found, problems = RunFolder.open(folder / "run").latest()
        every = self.recipe(shared).checkpoint_every
        assert not problems, problems
        assert (found.progress.step if found else 0) >= self.reached // every * every, f"of {self.reached}: {found}"

    def done(self, folder: Path, shared: Path) -> None:
        require_same(self.whole(shared), folder / "run")
        assert verify(folder / "run")


class Resume(Train):
    """A run that was stopped, and a half-written checkpoint that a killed process left in it."""

    def prepare(self, folder: Path, shared: Path) -> None:
        def stopped(path: Path) -> None:
            try:
                train(self.recipe(shared), path, device="cpu", spectator=_Stop())
            except Interrupted:
                return

        self.reached = 3
        shutil.copytree(made_once(shared / f"stopped {self.kind}", stopped), folder / "run")
        shutil.copytree(folder / "run" / "samples", folder / "run" / "checkpoints" / f"{PREFIX}000000004-999999999-00")

    def go(self, folder: Path, shared: Path) -> None:
        resume(folder / "run", device="cpu")


class OfARun(Verb):
    """A command on a run that is complete, with a file that it makes."""

    made: str

    def __init__(self) -> None:
        self.before: bytes | None = None

    def prepare(self, folder: Path, shared: Path) -> None:
        shutil.copytree(Train("flip").whole(shared), folder / "run")
        self.before = self.content(folder)

    def content(self, folder: Path) -> bytes | None:
        path = folder / "run" / self.made
        return path.read_bytes() if path.exists() else None

    def expected(self, shared: Path) -> bytes:
        """What the file holds in the end."""

        def make(path: Path) -> None:
            path.mkdir()
            self.prepare(path, shared)
            self.go(path, shared)

        folder = made_once(shared / type(self).__name__, make)
        content = self.content(folder)
        assert content is not None
        return content

    def failed(self, folder: Path, shared: Path) -> None:
        assert self.content(folder) in (self.before, self.expected(shared))

    def done(self, folder: Path, shared: Path) -> None:
        assert self.content(folder) == self.expected(shared)


class Report(OfARun):
    """A page in the place of an older one."""

    made = "report.html"

    def prepare(self, folder: Path, shared: Path) -> None:
        super().prepare(folder, shared)
        (folder / "run" / self.made).write_text("an older page")
        self.before = self.content(folder)

    def go(self, folder: Path, shared: Path) -> None:
        report_run(RunFolder.open(folder / "run"))

    def done(self, folder: Path, shared: Path) -> None:
        content = self.content(folder)
        assert content is not None and content.endswith(b"</html>"), "a page is whole, with the pictures it could read"


class Sample(OfARun):
    """Samples as an array file."""

    made = "samples.npz"

    def go(self, folder: Path, shared: Path) -> None:
        write_samples(folder / "run", folder / "run" / self.made, count=4, seed=0, device="cpu")


class Evaluate(OfARun):
    """Fresh measures; nothing is written."""

    made = "summary.json"

    def go(self, folder: Path, shared: Path) -> None:
        evaluate(folder / "run", samples=20, device="cpu")


class Attack(OfARun):
    """A classifier's robustness."""

    made = "robustness.json"

    def prepare(self, folder: Path, shared: Path) -> None:
        shutil.copytree(Train("classifier").whole(shared), folder / "run")

    def content(self, folder: Path) -> bytes | None:
        found = super().content(folder)
        return found and re.sub(rb'"seconds": .*', b"", found)

    def go(self, folder: Path, shared: Path) -> None:
        options = robust_options({"threats": "fgsm", "epsilons": ["0.1"], "samples": 8})
        evaluate_robustness(folder / "run", options, device="cpu")


class Prepare(Verb):
    """A store of the built-in digits."""

    def prepare(self, folder: Path, shared: Path) -> None:
        pass

    def go(self, folder: Path, shared: Path) -> None:
        prepare("digits", folder / "parent" / "store")

    def failed(self, folder: Path, shared: Path) -> None:
        assert not list(folder.iterdir())

    def done(self, folder: Path, shared: Path) -> None:
        assert verify_store(folder / "parent" / "store")


VERBS: dict[str, type[Verb]] = {
    "report": Report,
    "sample": Sample,
    "evaluate": Evaluate,
    "robustness": Attack,
    "data prepare": Prepare,
}
_TRAINED = {"train": "flip", "train images": "images", "finetune": "classifier from runs"}


def attempt(trial: Trial) -> None:
    """Let one operation of one command fail, or play on a small disk; then try again with a disk that works."""
    plan = _plan(trial.shared)
    assert len(plan) <= PROMISE.long, f"{len(plan)} operations, and fewer trials"
    name, at = plan[trial.index * _stride(len(plan)) % len(plan)]
    if name == "small disk" and can_mount():
        folder = trial.folder / "disk"
        folder.mkdir()
        on_small_disk(folder, at * _PAGE, lambda resize: _on_a_disk(folder, trial.shared, resize))
        return
    verb = _verb(name)
    verb.prepare(trial.folder, trial.shared)
    number = trial.draw.choice(_NUMBERS)
    lasting = SPENDING if number in (errno.ENOSPC, errno.EDQUOT) and trial.draw.random() < 0.5 else ()
    with operations(trial.folder, at, refusing(number), lasting=lasting) as disk:
        told = refusal(lambda: verb.go(trial.folder, trial.shared))
    where = f"{name}, operation {at}, {disk.names[at - 1 : at]}, {errno.errorcode[number]}, {lasting}"
    _settle(verb, told, trial.folder, trial.shared, where)


def _on_a_disk(folder: Path, shared: Path, resize: object) -> None:
    verb = _verb("train")
    told = refusal(lambda: verb.go(folder, shared))
    where = "a small disk"
    assert callable(resize)
    if told is not None:
        assert told.exit_code == 5, told.cause
        verb.failed(folder, shared)
    resize(64 << 20)
    _settle(verb, told, folder, shared, where)


def _settle(verb: Verb, told: object, folder: Path, shared: Path, where: str) -> None:
    """Judge what a command left behind, and try again if it failed."""
    try:
        if told is not None:
            assert getattr(told, "exit_code", None) == 5, f"{type(told).__name__}: {told}"
            verb.failed(folder, shared)
            verb.go(folder, shared)
        verb.done(folder, shared)
        left = list(folder.rglob(f"{PREFIX}*"))
        assert not left, left
    except Exception as error:
        error.add_note(where)
        raise


def _verb(name: str) -> Verb:
    if name in VERBS:
        return VERBS[name]()
    return Resume("flip") if name == "resume" else Train(_TRAINED.get(name, "flip"))


def _plan(shared: Path) -> Sequence[tuple[str, int]]:
    """Every operation of every command, and every small disk."""

    def count(path: Path) -> None:
        path.mkdir()
        plan = [("small disk", pages) for pages in _PAGES]
        for name in (*_TRAINED, "resume", *VERBS):
            folder = path / name
            folder.mkdir()
            verb = _verb(name)
            verb.prepare(folder, shared)
            if isinstance(verb, Train):
                verb.whole(shared)
            with operations(folder, 0, refusing(0)) as counted:
                verb.go(folder, shared)
            plan += [(name, at) for at in range(1, counted.count + 1)]
        (path / "plan.json").write_text(json.dumps(plan))

    found = json.loads((made_once(shared / "plan of disk errors", count) / "plan.json").read_text())
    return [(name, at) for name, at in found]


def _stride(count: int) -> int:
    """A step that visits every one of `count` before the first comes again, and few neighbours in a row."""
    return next(step for step in range(round(0.618 * count), 2 * count) if math.gcd(step, count) == 1)


class _Witness(Nobody):
    """Remembers the last round that was played, and saved where it was due."""

    reached = 0

    def played(self, done: int, total: int) -> None:
        self.reached = done


class _Stop(Nobody):
    """Stops a run after its third round, as a signal does."""

    def played(self, done: int, total: int) -> None:
        if done == 3:
            raise Interrupted("stopped", "", 15)


PROMISE = Promise(
    number=4,
    title="A full disk and every other I/O error: old or new, never neither",
    quick=25,
    long=1000,
    trial=attempt,
)
