"""Signals at any moment, once and twice: saved in time, the right exit code, two lines, nobody left, and goes on.

A process is cut where a line of ours or of Python's own library is about to run within some part of its work, any of
them with the same chance: lines are counted in an undisturbed process first.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import sparring.__main__
import sparring.cli.catalogue
import sparring.cli.printing
import sparring.report
from sparring.attacks import Attack
from sparring.cli import command_line
from sparring.core.errors import Flagged
from sparring.core.files import PREFIX
from sparring.core.signals import STOPS
from sparring.evaluation.verify import verify
from sparring.recipes import to_yaml
from sparring.runs.folder import RunFolder
from sparring.training import classifier_task as classifier_training
from sparring.training import gan_task
from sparring.training import loop as trainer
from sparring.training.classifier_task import ClassifierTask
from sparring.training.gan_task import GANTask
from torture.games import differences, made_once, play, recipe_of, undisturbed
from torture.promise import Promise, Trial

IN_TIME = 30.0
"""Seconds from the first signal to the end of the process."""


class Place(NamedTuple):
    """A part of the work: a function by its owner and name."""

    owner: Any
    name: str


MADE = "made"
"""What a trial's verb makes, in the trial's folder."""
VERB = Place(command_line, "app")
TRAINING = {
    "a round": ("flip, replicas", Place(gan_task, "play_round")),
    "an attack": ("mixed", Place(Attack, "__call__")),
    "measuring": ("GP", Place(GANTask, "measure")),
    "a save": ("spectral norm", Place(RunFolder, "save")),
    "measuring images": ("images", Place(GANTask, "measure")),
    "pictures": ("symmetric", Place(GANTask, "save_pictures")),
    "a row": ("PGD", Place(RunFolder, "append_row")),
    "the start": ("plain, replicas", Place(trainer, "begun")),
    "the closing study": ("images", Place(GANTask, "metrics")),
    "a lesson": ("classifier", Place(classifier_training, "give_lesson")),
    "the whole verb": ("plain", VERB),
    "measuring a classifier": ("classifier", Place(ClassifierTask, "measure")),
}
"""Where training is cut, and of which game."""


@dataclass
class Cut:
    """Signals at a line of a part of the work.

    Args:
        place: whose lines are counted.
        at: the line, from 1; 0 only counts.
        signals: the first comes at the line, a second one some time later.
        later: seconds.
        notes: a file that is told how many lines there were, and when the signal came.
    """

    place: Place
    at: int
    signals: Sequence[signal.Signals]
    later: float
    notes: Path
    lines: int = field(default=0, init=False)

    def install(self) -> None:
        """Have the part of the work watched in this process."""
        original = getattr(self.place.owner, self.place.name)

        def watched(*arguments: Any, **options: Any) -> Any:
            sys.settrace(self._watch)
            try:
                return original(*arguments, **options)
            finally:
                sys.settrace(None)
                if not self.at:
                    self.notes.write_text(str(self.lines))

        setattr(self.place.owner, self.place.name, watched)

    def _watch(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "call" and "site-packages" in frame.f_code.co_filename:
            return None  # no line of these needs care, and there are too many
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                self._strike()
        return self._watch

    def _strike(self) -> None:
        first, *others = self.signals
        self.notes.write_text(str(time.monotonic()))
        for other in others:
            timer = threading.Timer(self.later, os.kill, (os.getpid(), other))
            timer.daemon = True
            timer.start()
        signal.raise_signal(first)


class Ended(NamedTuple):
    """How a process ended, what it said, and when."""

    code: int
    out: str
    err: str
    at: float


def run(arguments: Sequence[object], folder: Path, prepare: Callable[[], None] = lambda: None) -> Ended:
    """Run a command line in a forked process, which needs no start-up, and wait for it."""
    out, err = folder / "said.out", folder / "said.err"
    child = os.fork()
    if not child:
        _be(arguments, out, err, prepare)
    _, status = os.waitpid(child, 0)
    ended = Ended(os.waitstatus_to_exitcode(status), out.read_text(), err.read_text(), time.monotonic())
    _require_nobody(child)
    return ended


def _be(arguments: Sequence[object], out: Path, err: Path, prepare: Callable[[], None]) -> None:
    """The forked process; never returns."""
    code = 1
    try:
        os.setsid()
        for stream, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        sys.argv = ["sparring", *map(str, arguments)]
        prepare()
        sparring.__main__.main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _require_nobody(group: int) -> None:
    """No process of this group outlives its first one by more than it takes to notice."""
    until = time.monotonic() + 5
    while left := _alive(group):
        assert time.monotonic() < until, f"orphan processes: {left}"
        time.sleep(0.1)


def _alive(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            state, _, own, *_ = (path / "stat").read_text().rpartition(")")[2].split()
            if int(own) == group and state != "Z":
                found.append((path / "cmdline").read_text().replace("\0", " "))
    return found


def cut(trial: Trial, name: str, place: Place, arguments: Sequence[object]) -> Ended:
    """Run a command line and send it a signal, or two, somewhere in a part of its work."""
    counted = made_once(trial.shared / f"lines {name}", lambda path: _count(trial, place, arguments, path))
    lines = int((counted / "notes").read_text())
    first, second = (trial.draw.choice(STOPS) for _ in range(2))
    signals = [first, second][: trial.draw.choice([1, 2])]
    later = trial.draw.choice([0.0, 0.01, 0.1]) * trial.draw.random()
    knife = Cut(place, trial.draw.randint(1, lines), signals, later, trial.folder / "notes")
    ended = run(arguments, trial.folder, knife.install)
    assert ended.code in {0, Flagged.exit_code, *(128 + number for number in signals)}, ended
    if ended.code > 128:
        _require_two_lines(ended)
        assert ended.at - float(knife.notes.read_text()) < IN_TIME, "too slow"
    if len(signals) == 1:
        _require_whole(trial.folder)
    return ended


def _count(trial: Trial, place: Place, arguments: Sequence[object], path: Path) -> None:
    """Count the lines of an undisturbed run of the same command, which leaves nothing in the trial's folder."""
    aside = trial.folder / "aside"
    aside.mkdir()
    path.mkdir()
    moved = [
        aside / item.name if isinstance(item, Path) and item.parent == trial.folder else item for item in arguments
    ]
    for item in list(trial.folder.iterdir()):
        if item in arguments:
            (shutil.copytree if item.is_dir() else shutil.copy)(item, aside / item.name)
    ended = run(moved, aside, Cut(place, 0, (), 0.0, path / "notes").install)
    assert ended.code in {0, Flagged.exit_code}, ended
    shutil.rmtree(aside)


def _require_two_lines(ended: Ended) -> None:
    *before, cause, remedy = ended.err.splitlines()
    assert cause.startswith("error: ") and remedy.startswith("  try: "), ended.err
    assert not any(word in line for line in before for word in ("error", "Traceback", "ignored", "Warning")), ended.err
    assert not ended.out, "a verb that is stopped prints no result"


def _require_whole(folder: Path) -> None:
    left = list(folder.rglob(f"{PREFIX}*"))
    assert not left, f"left behind: {left}"


def train(trial: Trial, name: str) -> None:
    """Training is cut, and ends as if it had not been."""
    kind, place = TRAINING[name]
    ended_as = undisturbed(kind, trial.shared)
    path, out = trial.folder / "recipe.yaml", trial.folder / "run"
    recipe = recipe_of(kind, trial.shared)
    path.write_text(to_yaml(recipe))
    begin = ["train", path, "--out", out, "--device", "cpu", *trial.draw.choice([[], ["--json"]])]
    ended = cut(trial, f"train {name}", place, begin)
    told = re.search(r"after round (\d+) .* everything is saved", ended.err)
    if told and int(told[1]):
        assert int(RunFolder.open(out).saved()[-1].name) == int(told[1])
    play(recipe, out)
    _require_whole(trial.folder)
    assert not differences(ended_as, out)


VERBS: dict[str, Callable[[Trial], list[object]]] = {
    "attack-endurance": lambda trial: ["attack-endurance", undisturbed("images", trial.shared), "-n", 4, "--cap", 5],
    "sample": lambda trial: ["sample", undisturbed("images", trial.shared), "--out", trial.folder / f"{MADE}.png"],
    "data prepare": lambda trial: ["data", "prepare", "digits", "--out", trial.folder / MADE],
    "evaluate": lambda trial: ["evaluate", undisturbed("images", trial.shared), "--samples", 64],
    "robustness": lambda trial: [
        *("robustness", undisturbed("classes", trial.shared), "--on", "class", "--threats", "quick"),
        *("--samples", 4, "--epsilons", "8/255", "--out", trial.folder / MADE),
    ],
    "report": lambda trial: ["report", shutil.copytree(undisturbed("plain", trial.shared), trial.folder / MADE)],
}
"""Verbs but those that train, each of which makes the same whenever it runs."""


def verb(trial: Trial, name: str) -> None:
    """A verb is cut, leaves nothing half-made, and when it runs again makes what it makes undisturbed."""
    arguments = VERBS[name](trial)
    ended = cut(trial, name, VERB, arguments)
    assert ended.code > 128 or not (trial.folder / "notes").exists(), "the signal is not heard"
    for made in trial.folder.glob(MADE):
        assert any(made.iterdir()), "an empty folder is left"
    if name == "data prepare" and (trial.folder / MADE).exists():
        arguments = ["data", "inspect", trial.folder / MADE]
    ended = run(arguments, trial.folder)
    assert ended.code in {0, Flagged.exit_code}, ended
    _require_whole(trial.folder)


def finetune(trial: Trial) -> None:
    """A run that begins with another run's D is cut, and ends as if it had not been."""
    donor, out = undisturbed("classes", trial.shared), trial.folder / MADE
    begin = ["finetune", donor, "steps=5", "batch_size=16", "--device", "cpu", "--out"]
    whole = made_once(trial.shared / "finetuned", lambda path: _require_done(run([*begin, path], trial.folder)))
    cut(trial, "finetune", VERB, [*begin, out])
    _require_done(run(["resume", out, "--device", "cpu"] if out.exists() else [*begin, out], trial.folder))
    _require_whole(trial.folder)
    assert not differences(whole, out)


def long_measurement(trial: Trial) -> None:
    """A measurement that would last for an hour is not waited for."""

    def prepare() -> None:
        measure = GANTask.measure

        def slow(training: GANTask, done: int) -> dict[str, Any]:
            threading.Timer(0.3 * trial.draw.random(), os.kill, (os.getpid(), number)).start()
            until = time.monotonic() + 3600
            while time.monotonic() < until:
                measure(training, done)
            return {}

        GANTask.measure = slow  # type: ignore[method-assign]

    number, began, out = trial.draw.choice(STOPS), time.monotonic(), trial.folder / "run"
    path = trial.folder / "recipe.yaml"
    path.write_text(to_yaml(recipe_of("plain", trial.shared)))
    ended = run(["train", path, "--out", out, "--device", "cpu"], trial.folder, prepare)
    assert ended.code == 128 + number
    assert ended.at - began < IN_TIME
    _require_two_lines(ended)
    assert "after round 16 of 24; everything is saved" in ended.err, ended
    assert [int(folder.name) for folder in RunFolder.open(out).saved()] == [14, 16]
    _require_done(run(["resume", out, "--device", "cpu"], trial.folder))
    assert not differences(undisturbed("plain", trial.shared), out)


def _require_done(ended: Ended) -> None:
    assert ended.code == 0, ended


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sparring", *map(str, arguments)]


def _begun(process: subprocess.Popen[str]) -> None:
    """Wait until a process heeds signals; before its first line of ours, Python itself dies of them."""
    heeded = sum(1 << (number - 1) for number in STOPS)
    while process.poll() is None:
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
        if caught and int(caught[1], 16) & heeded == heeded:
            return
        time.sleep(0.001)


def start_up(trial: Trial) -> None:
    """A process is stopped while it imports what it needs, or soon after."""
    path, out = trial.folder / "recipe.yaml", trial.folder / "run"
    path.write_text(to_yaml(recipe_of("plain", trial.shared, "steps=1000000")))
    number = trial.draw.choice(STOPS)
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(_command("train", path, "--out", out), **said) as process:
        _begun(process)
        for _ in range(trial.draw.choice([1, 2])):
            time.sleep(trial.draw.uniform(0, 3))
            process.send_signal(number)
        out_text, err = process.communicate()
    ended = Ended(process.returncode, out_text, err, 0.0)
    assert ended.code == 128 + number, ended
    _require_two_lines(ended)
    _require_nobody(process.pid)


def lost_terminal(trial: Trial) -> None:
    """The terminal of a training process goes away, as when a session over a network ends."""
    path, out = trial.folder / "recipe.yaml", trial.folder / "run"
    path.write_text(to_yaml(recipe_of("plain", trial.shared, "steps=1000000")))
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, _command("train", path, "--out", out, "--threads", 1))
    while not (out / "metrics.jsonl").exists() or not (out / "metrics.jsonl").stat().st_size:
        os.read(terminal, 65536)
    time.sleep(trial.draw.uniform(0, 0.5))
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    _require_nobody(child)
    assert RunFolder.open(out).summary().status == "interrupted"
    _require_whole(trial.folder)


def demonstration(trial: Trial) -> None:
    """The demo's processes stop together, each with its game saved, whoever of them hears the signal."""
    number, everyone, signals = trial.draw.choice(STOPS), trial.draw.random() < 0.5, trial.draw.choice([1, 2])
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    out = trial.folder / "demo"
    with subprocess.Popen(_command("demo", "--out", out, "--steps", 1000000, "--seeds", 2), **said) as process:
        _begun(process)
        for _ in range(signals):
            time.sleep(trial.draw.uniform(0, 10))
            os.kill(-process.pid if everyone else process.pid, number)
        out_text, err = process.communicate()  # ends when the last process lets go of it
    _require_two_lines(Ended(process.returncode, out_text, err, 0.0))
    assert process.returncode == 128 + number, (process.returncode, err)
    _require_nobody(process.pid)
    for path in out.glob("*/recipe.yaml"):
        run = RunFolder.open(path.parent)
        assert not run.is_owned()
        assert signals == 2 or run.summary().status == "interrupted", "not saved"
        verify(path.parent)


def _train(name: str) -> Callable[[Trial], None]:
    return lambda trial: train(trial, name)


def _verb(name: str) -> Callable[[Trial], None]:
    return lambda trial: verb(trial, name)


SCENES: dict[str, Callable[[Trial], None]] = {
    "a long measurement": long_measurement,
    "start-up": start_up,
    "a lost terminal": lost_terminal,
    **{f"train: {name}": _train(name) for name in list(TRAINING)[:4]},
    **{name: _verb(name) for name in list(VERBS)[:3]},
    **{f"train: {name}": _train(name) for name in list(TRAINING)[4:]},
    **{name: _verb(name) for name in list(VERBS)[3:]},
    "finetune": finetune,
    "the demo": demonstration,
}
"""What is cut; the first few are tried in every test run."""


def trial(trial: Trial) -> None:
    """One signal, or two, somewhere."""
    trial.turn(list(SCENES.values()))(trial)


PROMISE = Promise(
    5, "A signal at any moment: saved in time, the right exit code, nobody left, goes on bit-identical", 10, 100, trial
)
