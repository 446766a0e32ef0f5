"""Several runs side by side, a process with one CPU thread each, that stop together and lose nothing.

All workers hold the reading end of one pipe, their lifeline; the parent alone holds the other end and never writes.
When it lets go of it, on purpose or because it died, every worker notices after a round, saves its game and ends.
Workers pay no heed to signals of their own, so it does not matter whether Ctrl-C reaches only the parent or everyone.
A worker that is killed all the same (the machine is out of memory, say) is followed by another, which goes on from the
last checkpoint, as long as there is progress.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch

from sparring.engine.rundir import RunFolder
from sparring.engine.trainer import resume, train
from sparring.errors import SparringError
from sparring.recipes import AnyRecipe, validated
from sparring.signals import STOPS, heeded

TRIES = 3
"""Workers of one run that may be killed in a row without a round that none before them played."""
_TICK = 0.5  # seconds between two looks at the progress
_SPAWN = multiprocessing.get_context("spawn")


def play_side_by_side(runs: Mapping[Path, AnyRecipe], played: Callable[[int, int], None]) -> None:
    """Play every recipe in its folder, as many at a time as there are cores; complete runs stay, stopped ones go on.

    An exception here (a signal's, say) stops every run, saved; a second one while they save kills what is left.

    Args:
        runs: the recipes by run folder.
        played: told how many rounds of all runs are played, and how many there are.

    Raises:
        SparringError: workers of a run were killed again and again.
        The same as `train`: what one worker failed with, once the others are saved.
    """
    lifeline, held = _SPAWN.Pipe(duplex=False)
    seats = [_Seat(path, recipe, lifeline) for path, recipe in runs.items()]
    total = sum(recipe.steps for recipe in runs.values())
    waiting, playing = list(seats), list[_Seat]()
    try:
        while waiting or playing:
            while waiting and len(playing) < (os.cpu_count() or 1):
                playing.append(waiting.pop(0).start())
            wait([seat.news for seat in playing], _TICK)
            playing = [seat for seat in playing if not seat.is_complete()]
            played(sum(seat.played for seat in seats), total)
    finally:
        held.close()
        try:
            for seat in playing:
                seat.news.close()  # nobody listens any more, so nobody waits to be heard
                seat.worker.join()
        finally:
            for seat in playing:
                seat.worker.kill()


class _Seat:
    """A run, and the workers that play it one after another.

    Attributes:
        worker: the latest.
        news: where it tells what it fails with; closed by its end.
    """

    worker: SpawnProcess
    news: Connection

    def __init__(self, path: Path, recipe: AnyRecipe, lifeline: Connection) -> None:
        self._path, self._values, self._lifeline = path, recipe.model_dump(mode="json"), lifeline
        self._progress = _SPAWN.RawValue(ctypes.c_int64, 0)
        self._reached, self._killed = 0, 0

    @property
    def played(self) -> int:
        """Rounds, of the worker that came furthest."""
        return max(self._reached, self._progress.value)

    def start(self) -> _Seat:
        """Put a new worker to work."""
        self.news, telling = _SPAWN.Pipe(duplex=False)
        told = _Worker(self._progress, telling, self._lifeline)
        self.worker = _SPAWN.Process(target=_work, args=(self._path, self._values, told))
        # A new process inherits the mask: no signal can end it before it has chosen to ignore them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            self.worker.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            telling.close()
        return self

    def is_complete(self) -> bool:
        """Whether the run is played to its end; a worker that was killed is followed by another.

        Raises:
            Exception: what the worker failed with.
        """
        ended = not self.worker.is_alive()
        self._raise_failure()
        if not ended:
            return False
        self.news.close()
        code = self.worker.exitcode or 0
        if code < 0:
            self._go_on(-code)
        if code > 0:
            raise SparringError(f"a worker process ended with exit code {code}", "run the same command again")
        return code == 0

    def _raise_failure(self) -> None:
        with contextlib.suppress(EOFError):  # it ended without a word
            if self.news.poll():
                raise self.news.recv()

    def _go_on(self, signal_number: int) -> None:
        self._killed = 0 if self.played > self._reached else self._killed + 1
        self._reached = self.played
        if self._killed == TRIES:
            raise SparringError(
                f"{self._path}: {TRIES} worker processes were killed in a row ({signal.Signals(signal_number).name}), "
                f"none of which came beyond round {self._reached}",
                "see who kills them (the kernel does when memory runs out), then run the same command again",
            )
        self.start()


class _Worker:
    """A spectator that counts where the parent reads it, and asks for the end when the parent lets go.

    Args:
        progress: rounds played.
        telling: where a failure goes.
        lifeline: readable once the parent has let go of it.
    """

    def __init__(self, progress: ctypes.c_int64, telling: Connection, lifeline: Connection) -> None:
        self._progress, self._telling, self._lifeline = progress, telling, lifeline

    def note(self, text: str) -> None:
        pass

    def played(self, done: int, total: int) -> None:
        self._progress.value = done
        if self._lifeline.poll():
            signal.raise_signal(signal.SIGTERM)

    def fail(self, error: Exception) -> None:
        """Tell the parent, with the traceback, and end."""
        error.add_note(traceback.format_exc())
        with contextlib.suppress(BrokenPipeError):
            self._telling.send(error)
        sys.exit(1)


def _work(path: Path, values: dict[str, Any], told: _Worker) -> None:
    # Unheard before and after the rounds; within them the trainer listens, to the first signal only. (Not ignored: what
    # a process ignores its trainer does too.)
    for number in heeded():
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    torch.set_num_threads(1)
    try:
        _play(path, validated(values, str(path)), told)
    except Exception as error:
        told.fail(error)


def _play(path: Path, recipe: AnyRecipe, spectator: _Worker) -> None:
    if not (path / "recipe.yaml").is_file():
        train(recipe, path, device="cpu", spectator=spectator)
    elif RunFolder.open(path).summary().get("status") != "complete":
        resume(path, device="cpu", spectator=spectator)
    spectator.played(recipe.steps, recipe.steps)
