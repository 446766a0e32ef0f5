"""Of many processes that start one run at the same time, one trains it; the others exit and change nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sparring.core.process import Progress
from sparring.recipes import AnyRecipe
from sparring.training.loop import resume, train
from torture.games import play, recipe_of, require_same, undisturbed
from torture.promise import Promise, Trial
from torture.starts import KILLED, Start, Witness, kill_all

_STARTERS = 6
_KIND = "flip"
_DONE, _USAGE, _BUSY = 0, 2, 3
_Starter = Callable[[Path, AnyRecipe, Progress], object]


def _begin(run: Path, recipe: AnyRecipe, progress: Progress) -> None:
    train(recipe, run, device="cpu", progress=progress)


def _go_on(run: Path, recipe: AnyRecipe, progress: Progress) -> None:
    resume(run, device="cpu", progress=progress)


class _Pause(Progress):
    """Waits after some rounds until a file exists."""

    def __init__(self, witness: Witness, after: int, gate: Path) -> None:
        self._witness, self._after, self._gate = witness, after, gate

    def advance(self, done: int, total: int) -> None:
        self._witness.advance(done, total)
        while done >= self._after and not self._gate.exists():
            time.sleep(0.01)


def _together(trial: Trial) -> None:
    """Several start a new run, and its owner is killed; several again, and its owner completes it."""
    run, draw = trial.folder / "run", trial.draw
    owning, others = _start_together(trial, [_begin] * _STARTERS, trial.folder / "never")
    assert others == [_BUSY] * (_STARTERS - 1), others
    assert owning.code(within=0) == KILLED
    starters = [_go_on, *(draw.choice([_begin, _go_on]) for _ in range(_STARTERS - 1))]
    draw.shuffle(starters)
    gate = trial.folder / "gate"
    owning, others = _start_together(trial, starters, gate)
    # `train` on an existing run is a usage error.
    assert set(others) <= {_BUSY, _USAGE} and others.count(_USAGE) <= starters.count(_begin), others
    gate.touch()
    assert owning.code() == _DONE
    require_same(undisturbed(_KIND, trial.shared), run)


def _start_together(trial: Trial, starters: Sequence[_Starter], gate: Path) -> tuple[Start, list[int]]:
    """Start all together; return the one that trains, waiting at a gate, and the exit codes of the others."""
    run, recipe, after = trial.folder / "run", recipe_of(_KIND, trial.shared), trial.draw.randint(8, 20)
    barrier = multiprocessing.get_context("fork").Barrier(len(starters))

    def lead(starter: _Starter) -> Callable[[Witness], None]:
        def start_with_the_others(witness: Witness) -> None:
            barrier.wait()
            starter(run, recipe, _Pause(witness, after, gate))

        return start_with_the_others

    started = [Start(lead(starter)) for starter in starters]
    while not any(start.last >= after for start in started):
        assert any(start.is_alive for start in started), "none of them trains"
        time.sleep(0.01)
    owning = next(start for start in started if start.last >= after)
    others = [start for start in started if start is not owning]
    while any(start.is_alive for start in others) and not any(start.first for start in others):
        time.sleep(0.01)
    assert not any(start.first for start in others), "more than one trains"
    return owning, [start.code() for start in others]


def _children_live_on(trial: Trial) -> None:
    """Processes that an owner started do not keep the folder locked when the owner is killed."""
    run, after = trial.folder / "run", trial.draw.randint(1, 20)
    numbers = trial.folder / "numbers"

    class Parent(Progress):
        def advance(self, done: int, total: int) -> None:
            if done == after:
                child = os.fork()
                if not child:
                    time.sleep(600)
                    os._exit(0)
                other = subprocess.Popen(["sleep", "600"], close_fds=trial.draw.random() < 0.5)
                numbers.write_text(f"{child} {other.pid}")
                os.kill(os.getpid(), signal.SIGKILL)

    recipe = recipe_of(_KIND, trial.shared)
    assert Start(lambda _witness: play(recipe, run, Parent())).code() == KILLED
    try:
        assert _resumed(run) == _DONE
        require_same(undisturbed(_KIND, trial.shared), run)
    finally:
        for number in numbers.read_text().split():
            os.kill(int(number), signal.SIGKILL)


def _resumed(run: Path) -> int:
    """The exit code of a process that resumes."""
    return Start(lambda witness: resume(run, device="cpu", progress=witness)).code()


_WAYS = (_together, _children_live_on)


def _trial(trial: Trial) -> None:
    try:
        trial.turn(_WAYS)(trial)
    finally:
        kill_all()


PROMISE = Promise(
    number=12,
    title="Two processes, one folder: one owner, the others exit with 3",
    quick=2,
    long=100,
    trial=_trial,
)
