"""A crew of processes on this machine, one CPU thread each.

All workers hold the reading end of one pipe, their lifeline; the parent alone holds the other end and never writes.
When it lets go of it, on purpose or because it died, every worker notices after a round, saves its game and ends.
Workers pay no heed to signals of their own, so it does not matter whether Ctrl-C reaches only the parent or everyone.

Workers are forked by a server that has imported everything and done nothing, so that the next one starts at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from sparring.core.errors import SparringError, unexpected
from sparring.core.signals import STOPS, heeded
from sparring.recipes import AnyRecipe
from sparring.sweeps.side_by_side import SEE_ALONE, Crew, End, Worker, play_run

_SERVED = multiprocessing.get_context("forkserver")
_SERVED.set_forkserver_preload(["sparring.training.loop"])
_PATIENCE = (0.1, 0.3, 1.0, 3.0)
"""Seconds after each try to start a worker."""
_MOMENT = 5.0  # seconds until the server has told how a worker ended


class Processes(Crew):
    """Workers that are processes of this machine.

    Args:
        size: how many at a time; 0 is one for each core.
        device: that they play on.
    """

    def __init__(self, size: int = 0, device: str = "cpu") -> None:
        self.size = size or os.cpu_count() or 1
        self._device = device
        self._lifeline, self._held = _SERVED.Pipe(duplex=False)
        self._workers: list[_Process] = []

    def start(self, path: Path, recipe: AnyRecipe) -> Worker:
        worker = _Process(path, recipe.model_dump(mode="json"), self._device, self._lifeline)
        self._workers.append(worker)
        return worker

    def wait(self, seconds: float) -> None:
        self._workers = [worker for worker in self._workers if not worker.news.closed]
        wait([worker.news for worker in self._workers], seconds)

    def dismiss(self) -> None:
        self._held.close()
        self._lifeline.close()
        try:
            for worker in self._workers:
                worker.news.close()  # nobody listens any more, so nobody waits to be heard
                worker.process.join()
        finally:
            for worker in self._workers:
                worker.process.kill()


class _Process(Worker):
    """A worker process, seen from its parent.

    Attributes:
        news: where its last word comes from: what it fails with, or None when the run is complete. It ends with the
            process, whatever becomes of the server that forked it.
    """

    def __init__(self, path: Path, values: dict[str, Any], device: str, lifeline: Connection) -> None:
        self._progress = _SERVED.RawValue(ctypes.c_int64, 0)
        self.news, telling = _SERVED.Pipe(duplex=False)
        told = _Parent(self._progress, telling, lifeline)
        work = (path, values, device, dict(os.environ), told)
        self.process: ForkServerProcess = _SERVED.Process(target=_work, args=work)
        _start(self.process)
        telling.close()

    @property
    def played(self) -> int:
        rounds: int = self._progress.value
        return rounds

    def end(self) -> End | None:
        if not self.news.poll():
            return None
        try:
            return End(error=self.news.recv())
        except EOFError:
            self.process.join(_MOMENT)
            code = self.process.exitcode or 0
            return End(killed=signal.Signals(-code).name if code < 0 else f"exit code {code}")
        finally:
            self.news.close()


def _start(process: ForkServerProcess) -> None:
    """Start a worker; if the server has just been killed, by another one, once it is known to be gone."""
    with _unheard():
        for seconds in _PATIENCE:
            with contextlib.suppress(OSError, EOFError):
                process.start()
                return
            time.sleep(seconds)
        process.start()


@contextmanager
def _unheard() -> Iterator[None]:
    """A block whose new processes no signal can end before they have chosen to ignore them: they inherit the mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Parent:
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

    def end(self, error: Exception | None) -> None:
        """Tell the parent how it ends."""
        with contextlib.suppress(BrokenPipeError):
            self._telling.send(error)


def _portable(error: Exception) -> Exception:
    """The error, or what can be said of one that another process may not be able to make again."""
    plain = type(error).__module__ == "builtins" and all(isinstance(each, str | int | float) for each in error.args)
    return error if plain or isinstance(error, SparringError) else unexpected(error, SEE_ALONE)


def _work(path: Path, values: Mapping[str, Any], device: str, environment: dict[str, str], parent: _Parent) -> None:
    # Unheard before and after the rounds; within them the trainer listens, to the first signal only. (Not ignored: what
    # a process ignores its trainer does too.)
    for number in heeded():
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    os.environ.clear()  # it is the server's, which may be older than the parent's
    os.environ.update(environment)
    torch.set_num_threads(1)
    try:
        play_run(path, values, device=device, spectator=parent)
    except Exception as error:
        error.add_note(traceback.format_exc())
        parent.end(_portable(error))
        sys.exit(1)
    parent.end(None)
