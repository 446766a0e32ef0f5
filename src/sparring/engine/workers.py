"""Several runs side by side, a process with one CPU thread each, that stop together and lose nothing.

All workers hold the reading end of one pipe, their lifeline; the parent alone holds the other end and never writes.
When it lets go of it, on purpose or because it died, every worker notices after a round, saves its game and ends.
Workers pay no heed to signals of their own, so it does not matter whether Ctrl-C reaches only the parent or everyone.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import torch

from sparring.engine.rundir import RunFolder
from sparring.engine.trainer import resume, train
from sparring.errors import SparringError
from sparring.recipes import AnyRecipe, validated
from sparring.signals import STOPS, heeded

_TICK = 0.5  # seconds between two looks at the progress


def play_side_by_side(runs: Mapping[Path, AnyRecipe], played: Callable[[int, int], None]) -> None:
    """Play every recipe in its folder, as many at a time as there are cores; complete runs stay, stopped ones go on.

    An exception here (a signal's, say) stops every run, saved; a second one while they save kills what is left.

    Args:
        runs: the recipes by run folder.
        played: told how many rounds of all runs are played, and how many there are.

    Raises:
        The same as `train`: what one worker failed with, once the others are saved.
    """
    context = multiprocessing.get_context("spawn")
    progress = context.RawArray(ctypes.c_int64, len(runs))
    with _deaf():  # a queue starts a process of Python's own, which tracks semaphores
        failures: SimpleQueue[Exception] = context.SimpleQueue()
    lifeline, held = context.Pipe(duplex=False)
    total = sum(recipe.steps for recipe in runs.values())
    waiting = [
        context.Process(target=_work, args=(path, recipe.model_dump(mode="json"), index, progress, failures, lifeline))
        for index, (path, recipe) in enumerate(runs.items())
    ]
    playing: list[SpawnProcess] = []
    try:
        while waiting or playing:
            while waiting and len(playing) < (os.cpu_count() or 1):
                with _deaf():
                    waiting[0].start()
                    playing.append(waiting.pop(0))
            wait([worker.sentinel for worker in playing], _TICK)
            played(sum(progress), total)
            for worker in [worker for worker in playing if not worker.is_alive()]:
                _require_success(worker, failures)
                playing.remove(worker)
    finally:
        held.close()
        try:
            for worker in playing:
                worker.join()
        finally:
            for worker in playing:
                worker.kill()


@contextmanager
def _deaf() -> Iterator[None]:
    """A process that is started within inherits the mask: no stop signal ends it, unless it lets one through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _require_success(worker: SpawnProcess, failures: SimpleQueue[Exception]) -> None:
    if worker.exitcode == 0:
        return
    if not failures.empty():
        raise failures.get()
    raise SparringError(f"a worker process ended with exit code {worker.exitcode}", "run the same command again")


class _Worker:
    """A spectator that counts where the parent reads it, and asks for the end when the parent lets go."""

    def __init__(self, index: int, progress: ctypes.Array[ctypes.c_int64], lifeline: Connection) -> None:
        self._index, self._progress, self._lifeline = index, progress, lifeline

    def note(self, text: str) -> None:
        pass

    def played(self, done: int, total: int) -> None:
        self._progress[self._index] = done
        if self._lifeline.poll():
            signal.raise_signal(signal.SIGTERM)


def _work(
    path: Path,
    values: dict[str, Any],
    index: int,
    progress: ctypes.Array[ctypes.c_int64],
    failures: SimpleQueue[Exception],
    lifeline: Connection,
) -> None:
    # Unheard before and after the rounds; within them the trainer listens, to the first signal only. (Not ignored: what
    # a process ignores its trainer does too.)
    for number in heeded():
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    torch.set_num_threads(1)
    try:
        _play(path, validated(values, str(path)), _Worker(index, progress, lifeline))
    except Exception as error:
        error.add_note(traceback.format_exc())
        failures.put(error)
        sys.exit(1)


def _play(path: Path, recipe: AnyRecipe, spectator: _Worker) -> None:
    if not (path / "recipe.yaml").is_file():
        train(recipe, path, device="cpu", spectator=spectator)
    elif RunFolder.open(path).summary().get("status") != "complete":
        resume(path, device="cpu", spectator=spectator)
    spectator.played(recipe.steps, recipe.steps)
