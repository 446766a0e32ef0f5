"""Runs in other processes, a few at a time, in the manner of `concurrent.futures`.

An executor trains runs in processes of this machine (`LocalExecutor`) or on a cluster (`RayExecutor`). When a worker
process dies, its run is resumed from its last checkpoint by another one.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from sparring.core.errors import SparringError, unexpected
from sparring.core.process import Progress
from sparring.core.signals import STOPS
from sparring.recipes import AnyRecipe, validated
from sparring.runs.environment import choose_device
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train

Outcome = SparringError | None
"""The error that a run failed with; None if it is complete."""

_TICK = 0.5
"""Seconds between two looks at the progress of all runs."""
_POLL = 0.1
"""Seconds between two requests to stop, until the run has stopped."""
_TAIL = 1 << 16
"""Bytes at the end of a log in which its last row is searched first."""


class Executor(ABC):
    """Trains runs in other processes. At the end of a `with` block what still runs is stopped and saved.

    Attributes:
        workers: runs at a time.
        tries: workers of one run that may die in a row without a new round.
    """

    workers: int
    tries: int

    @abstractmethod
    def submit(self, path: Path, recipe: AnyRecipe) -> Future[Outcome]:
        """Train or resume a run in another process; the future has an exception if that process died."""

    @abstractmethod
    def shutdown(self) -> None:
        """Stop every run after its round, wait until it is saved, and end the workers.

        An exception while it waits (from a second signal) ends them without saving.
        """

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_error: object) -> None:
        self.shutdown()


def train_runs(
    runs: Mapping[Path, AnyRecipe], executor: Executor, progress: Progress
) -> Iterator[tuple[Path, Outcome]]:
    """Train every recipe in its folder, or resume it there; yield each run when it is complete or failed.

    A run whose worker died is submitted again while new rounds are logged between two deaths.

    Args:
        runs: the recipes by run folder.
        executor: trains them.
        progress: follows the rounds of all runs.
    """
    waiting, running = deque(runs), dict[Future[Outcome], Path]()
    deaths, reached = Counter[Path](), Counter[Path]()
    total = sum(recipe.steps for recipe in runs.values())
    while waiting or running:
        while waiting and len(running) < executor.workers:
            path = waiting.popleft()
            running[executor.submit(path, runs[path])] = path
        ended, _ = wait(running, _TICK, FIRST_COMPLETED)
        rounds = Counter({path: rounds_logged(path) for path in runs})
        progress.advance(rounds.total(), total)
        for future in ended:
            path = running.pop(future)
            died = future.exception()
            if not died:
                yield path, future.result()
                continue
            deaths[path] = 1 if rounds[path] > reached[path] else deaths[path] + 1
            reached[path] = rounds[path]
            if deaths[path] < executor.tries:
                waiting.appendleft(path)
            else:
                cause = f"{path}: {deaths[path]} worker processes in a row died without a round beyond {reached[path]}"
                yield path, SparringError(cause, "see docs/scale.md; the kernel kills processes when memory runs out")


def train_run(path: Path, values: Mapping[str, Any], device: str) -> Outcome:
    """The task of a worker: train a run or resume it on one CPU thread. A complete run is left alone.

    Args:
        path: the run folder.
        values: the recipe as plain values.
        device: as of `train`.
    """
    torch.set_num_threads(1)
    try:
        recipe = validated(values, str(path))
        if not (path / "recipe.yaml").is_file():
            train(recipe, path, device=device)
        elif status_of(path) != "complete":
            resume(path, device=device)
    except Exception as error:
        outcome = error if isinstance(error, SparringError) else unexpected(error, "train its recipe.yaml with --debug")
        outcome.add_note(traceback.format_exc())
        return outcome
    return None


def status_of(path: Path) -> str:
    """The status in the summary of a run; empty while there is none.

    Raises:
        CorruptInput: the summary is damaged.
    """
    summary = RunFolder(path).summary()
    return summary.status if summary else ""


def rounds_logged(path: Path) -> int:
    """The step in the last row of a run's log; 0 without one."""
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError), open(RunFolder(path).rows_path, "rb") as file:
        first = size = file.seek(0, os.SEEK_END)
        tail, lines = _TAIL, list[bytes]()
        while first > 0 and len(lines) < 3:  # until the last row is whole, between two ends of lines
            first, tail = max(0, size - tail), 2 * tail
            file.seek(first)
            lines = file.read().split(b"\n")
        return int(json.loads(lines[-2])["step"])
    return 0


class LocalExecutor(Executor):
    """Processes of this machine, each a standard pool of one worker, so that a broken pool concerns one run.

    Args:
        workers: at a time; 0 is one for each core, or one for a device other than a CPU.
        device: that they train on: `auto`, `cpu`, `cuda` or `cuda:N`.
    """

    tries = 3

    def __init__(self, workers: int = 0, device: str = "cpu") -> None:
        self._device = choose_device(device)
        self.workers = workers or (os.cpu_count() or 1 if self._device.type == "cpu" else 1)
        self._pools: list[_PoolOfOne] = []

    def submit(self, path: Path, recipe: AnyRecipe) -> Future[Outcome]:
        task = path, recipe.model_dump(mode="json"), str(self._device)
        for pool in [pool for pool in self._pools if pool.task.done()]:
            with contextlib.suppress(BrokenProcessPool):
                return pool.submit(*task)
            self._pools.remove(pool)
        self._pools.append(_PoolOfOne())
        return self._pools[-1].submit(*task)

    def shutdown(self) -> None:
        try:
            for pool in self._pools:
                with contextlib.suppress(OSError):  # the worker is gone
                    pool.parent.send("stop")
            for pool in self._pools:
                pool.pool.shutdown()
        finally:
            for pool in self._pools:
                pool.parent.close()


_PROCESSES = multiprocessing.get_context("spawn" if sys.platform == "darwin" else "forkserver")
"""Workers are forked by a process that has imported all that they need. On macOS no process is safe after a fork."""
_PROCESSES.set_forkserver_preload([__name__])


class _PoolOfOne:
    """A process pool of one worker.

    Attributes:
        task: that was submitted last.
        parent: end of a pipe; the worker is asked to stop by any message, and to end without saving by closing it then.
    """

    task: Future[Outcome]

    def __init__(self) -> None:
        requests, self.parent = _PROCESSES.Pipe(duplex=False)
        with _signals_blocked():
            self.pool = ProcessPoolExecutor(1, _PROCESSES, _listen, (requests,))

    def submit(self, *task: Any) -> Future[Outcome]:
        with _signals_blocked():
            self.task = self.pool.submit(_train, *task)
        return self.task


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """A block whose new processes inherit that stop signals are blocked: they obey their parent alone.

    Ctrl-C and a lost terminal reach all processes, and must be answered once.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_training = threading.Lock()
"""Held by a worker process while it trains."""


def _train(*task: Any) -> Outcome:
    with _training:
        return train_run(*task)


def _listen(requests: Connection) -> None:
    """Prepare a worker process: when its parent asks or is gone, its run stops after the round, and it ends."""

    def obey() -> None:
        try:
            requests.recv()
            was_asked = True
        except EOFError:
            was_asked = False
        while not _training.acquire(timeout=_POLL) and not (was_asked and requests.poll()):
            _thread.interrupt_main(signal.SIGTERM)  # has no effect unless the training loop handles the signal
        os._exit(0)

    threading.Thread(target=obey, daemon=True).start()
