"""One or two signals at any moment: the right exit code, everything saved, no process left, and the run can be resumed.

A process receives its signal before a random line of our code or of Python's library within some part of its work, all
lines being equally likely: they are counted in an undisturbed process first.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
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
from sparring import cli
from sparring.core.errors import Flagged
from sparring.core.signals import STOPS
from sparring.data import verify as verify_store
from sparring.recipes import to_yaml
from sparring.runs.folder import RunFolder
from sparring.training import task
from sparring.training.task import ClassifierTask, GANTask
from torture.games import made_once, play, recipe_of, require_same, undisturbed
from torture.promise import Promise, Trial
from torture.starts import require_swept

Place = tuple[Any, str]
"""A function by its owner and name."""
COMMAND: Place = (cli, "app")
TRAINING: dict[str, tuple[str, Place]] = {
    "a round": ("flip, replicas", (task, "play_round")),
    "measuring": ("images", (GANTask, "measure")),
    "a save": ("spectral norm, replicas", (RunFolder, "save")),
    "pictures": ("symmetric", (GANTask, "save_pictures")),
    "the whole command": ("plain", COMMAND),
    "measuring a classifier": ("classifier", (ClassifierTask, "measure")),
}
"""The parts of training in which a signal comes, each with the kind of its recipe."""


@dataclass
class Cut:
    """Signals at a line of a function.

    Args:
        place: the function whose lines are counted.
        at: the line, from 1; 0 only counts.
        signals: the first comes at the line, a second one some time later.
        later: seconds.
        notes: file for the number of lines.
    """

    place: Place
    at: int
    signals: Sequence[signal.Signals]
    later: float
    notes: Path
    lines: int = field(default=0, init=False)

    def install(self) -> None:
        """Trace the function in this process."""
        owner, name = self.place
        original = getattr(owner, name)

        def traced(*arguments: Any, **options: Any) -> Any:
            sys.settrace(self._trace)
            try:
                return original(*arguments, **options)
            finally:
                sys.settrace(None)
                if not self.at:
                    self.notes.write_text(str(self.lines))

        setattr(owner, name, traced)

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "call" and "site-packages" in frame.f_code.co_filename:
            return None  # too many lines
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                self._send()
        return self._trace

    def _send(self) -> None:
        first, *others = self.signals
        for other in others:
            timer = threading.Timer(self.later, os.kill, (os.getpid(), other))
            timer.daemon = True
            timer.start()
        signal.raise_signal(first)


class Ended(NamedTuple):
    """The exit code of a process and what it printed."""

    code: int
    out: str
    err: str


def run(arguments: Sequence[object], folder: Path, prepare: Callable[[], None] = lambda: None) -> Ended:
    """Run a command line in a forked process, which needs no start-up, and wait for it."""
    out, err = folder / "printed.out", folder / "printed.err"
    child = os.fork()
    if not child:
        _run_command(arguments, out, err, prepare)
    _, status = os.waitpid(child, 0)
    _require_group_ended(child)
    return Ended(os.waitstatus_to_exitcode(status), out.read_text(), err.read_text())


def _run_command(arguments: Sequence[object], out: Path, err: Path, prepare: Callable[[], None]) -> None:
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


def _require_group_ended(group: int) -> None:
    """No process of this group is left; the deadline is against hanging."""
    deadline = time.monotonic() + 600
    while left := _alive(group):
        assert time.monotonic() < deadline, f"processes are left: {left}"
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


def cut(trial: Trial, name: str, place: Place, arguments: Callable[[Trial], Sequence[object]]) -> Ended:
    """Run a command line and send it a signal, or two, somewhere in a part of its work."""
    counted = made_once(trial.shared / f"lines {name}", lambda path: _count(trial, place, arguments, path))
    lines = int((counted / "notes").read_text())
    first, second = (trial.draw.choice(STOPS) for _ in range(2))
    signals = [first, second][: trial.draw.choice([1, 2])]
    later = trial.draw.choice([0.0, 0.01, 0.1]) * trial.draw.random()
    knife = Cut(place, trial.draw.randint(1, lines), signals, later, trial.folder / "notes")
    ended = run(arguments(trial), trial.folder, knife.install)
    assert ended.code in {0, Flagged.exit_code, *(128 + number for number in signals)}, ended
    if ended.code > 128:
        _require_two_lines(ended)
    if len(signals) == 1:
        require_swept(trial.folder)
    return ended


def _count(trial: Trial, place: Place, arguments: Callable[[Trial], Sequence[object]], path: Path) -> None:
    """Count the lines of an undisturbed run of the same command, in a folder of its own."""
    path.mkdir()
    counting = Trial(trial.index, trial.draw, path, trial.shared)
    ended = run(arguments(counting), path, Cut(place, 0, (), 0.0, path / "notes").install)
    assert ended.code in {0, Flagged.exit_code}, ended


def _require_two_lines(ended: Ended) -> None:
    *before, cause, remedy = ended.err.splitlines()
    assert cause.startswith("error: ") and remedy.startswith("  try: "), ended.err
    assert not any(word in line for line in before for word in ("error", "Traceback", "ignored", "Warning")), ended.err
    assert not ended.out, "a command that is stopped prints no result"


def _train_command(kind: str, trial: Trial, *overrides: str) -> list[object]:
    path = trial.folder / "recipe.yaml"
    path.write_text(to_yaml(recipe_of(kind, trial.shared, *overrides)))
    return ["train", path, "--out", trial.folder / "run", "--device", "cpu"]


def train(trial: Trial, name: str) -> None:
    """A signal during training: the resumed run ends like an undisturbed one."""
    kind, place = TRAINING[name]
    whole, out = undisturbed(kind, trial.shared), trial.folder / "run"
    ended = cut(trial, f"train {name}", place, lambda each: _train_command(kind, each))
    saved = re.search(r"after round (\d+) .* everything is saved", ended.err)
    if saved and int(saved[1]):
        assert int(RunFolder.open(out).saved()[-1].name) == int(saved[1])
    play(recipe_of(kind, trial.shared), out)
    require_swept(trial.folder)
    require_same(whole, out)


def prepare_data(trial: Trial) -> None:
    """A signal during `data prepare` leaves nothing half-made; the command can be repeated."""
    store = trial.folder / "store"

    def arguments(each: Trial) -> list[object]:
        return ["data", "prepare", "digits", "--out", each.folder / "store"]

    ended = cut(trial, "data prepare", COMMAND, arguments)
    if ended.code > 128 and not store.exists():
        ended = run(arguments(trial), trial.folder)
        assert ended.code == 0, ended
    assert verify_store(store)
    require_swept(trial.folder)


def long_measurement(trial: Trial) -> None:
    """A signal interrupts a measurement that would last for an hour."""
    number, out = trial.draw.choice(STOPS), trial.folder / "run"

    def prepare() -> None:
        measure = GANTask.measure

        def slow(task: GANTask, done: int) -> dict[str, Any]:
            threading.Timer(0.3 * trial.draw.random(), os.kill, (os.getpid(), number)).start()
            until = time.monotonic() + 3600
            while time.monotonic() < until:
                measure(task, done)
            return {}

        GANTask.measure = slow  # type: ignore[method-assign]

    ended = run(_train_command("plain", trial), trial.folder, prepare)
    assert ended.code == 128 + number
    _require_two_lines(ended)
    assert "after round 16 of 24; everything is saved" in ended.err, ended
    assert [int(folder.name) for folder in RunFolder.open(out).saved()] == [14, 16]
    assert run(["resume", out, "--device", "cpu"], trial.folder).code == 0
    require_same(undisturbed("plain", trial.shared), out)


def real_process(trial: Trial) -> None:
    """A process is stopped while it imports, or soon after; its signals come once or twice."""
    number = trial.draw.choice(STOPS)
    process = _start(_train_command("plain", trial, "steps=1000000"))
    for _ in range(trial.draw.choice([1, 2])):
        time.sleep(trial.draw.uniform(0, 3))
        process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 128 + number, err
    _require_two_lines(Ended(process.returncode, out, err))
    _require_group_ended(process.pid)


def lost_terminal(trial: Trial) -> None:
    """The terminal of a training process goes away, as when a session over a network ends."""
    out = trial.folder / "run"
    command = [sys.executable, "-m", "sparring", *map(str, _train_command("plain", trial, "steps=1000000"))]
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, command)
    while not (out / "metrics.jsonl").exists() or not (out / "metrics.jsonl").stat().st_size:
        os.read(terminal, 65536)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    _require_group_ended(child)
    assert _status(out) == "interrupted"
    require_swept(trial.folder)


def _start(arguments: Sequence[object]) -> subprocess.Popen[str]:
    """Start a process and wait until it handles signals: before that, they kill Python itself."""
    command = [sys.executable, "-m", "sparring", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    process: subprocess.Popen[str] = subprocess.Popen(command, **pipes)  # type: ignore[call-overload]
    wanted = sum(1 << (number - 1) for number in STOPS)
    while process.poll() is None:
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
        if caught and int(caught[1], 16) & wanted == wanted:
            break
        time.sleep(0.001)
    return process


def _status(run: Path) -> str:
    summary = RunFolder.open(run).summary()
    return summary.status if summary else ""


def _train(name: str) -> Callable[[Trial], None]:
    return lambda trial: train(trial, name)


SCENES: tuple[Callable[[Trial], None], ...] = (
    long_measurement,
    real_process,
    _train("a round"),
    _train("a save"),
    prepare_data,
    *(_train(name) for name in TRAINING if name not in ("a round", "a save")),
    lost_terminal,
)
"""`make test` tries the first five."""


def _trial(trial: Trial) -> None:
    trial.turn(SCENES)(trial)


PROMISE = Promise(
    number=5,
    title="A signal at any moment: saved, the right exit code, no process left, goes on bit-identical",
    quick=5,
    long=100,
    trial=_trial,
)
