"""A run started or resumed in a process of its own, which can be killed at any moment and reports its rounds."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sparring.core.errors import SparringError
from sparring.core.files import PREFIX
from sparring.core.process import Progress
from torture import games

_FORK = multiprocessing.get_context("fork")
KILLED = -signal.SIGKILL
"""The exit code of a process that was killed."""


class Witness(Progress):
    """Writes the first and the last round of its process to shared memory.

    Args:
        rounds: the two numbers.
    """

    def __init__(self, rounds: memoryview[int]) -> None:
        self._rounds = rounds

    @property
    def has_played(self) -> bool:
        """Whether it has trained a round."""
        return self._rounds[0] > 0

    def advance(self, done: int, total: int) -> None:
        if not self.has_played:
            self._rounds[0] = done
        self._rounds[1] = done


@cache
def warm() -> None:
    """Import all that a run needs, once, before processes are forked that would each import it again."""
    with TemporaryDirectory() as folder:
        games.play(games.recipe_of("images", Path(folder), "steps=1"), Path(folder) / "run")


class Start:
    """A process that trains.

    Args:
        play: its work, given the progress to report to.
    """

    def __init__(self, play: Callable[[Witness], object]) -> None:
        warm()
        self._rounds = memoryview(mmap.mmap(-1, 16)).cast("q")
        self._process = _FORK.Process(target=_lead, args=(play, Witness(self._rounds)), daemon=True)
        self._process.start()

    @property
    def first(self) -> int:
        """The first round that it trained, from 1; 0 if none."""
        return self._rounds[0]

    @property
    def last(self) -> int:
        """The last round that it trained; 0 if none."""
        return self._rounds[1]

    @property
    def is_alive(self) -> bool:
        """Whether it trains or waits."""
        return self._process.is_alive()

    def code(self, within: float | None = None) -> int:
        """Its exit code; it is killed if it does not end within so many seconds."""
        self._process.join(within)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def killed_after(self, rounds: int, seconds: float) -> int:
        """Its exit code; it is killed so many seconds after this round, unless it has ended by then."""
        while self.is_alive and self.last < rounds:
            time.sleep(0.001)
        return self.code(seconds)


def kill_oneself() -> None:
    """End this process as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_all() -> None:
    """Kill every start of this process that a failed trial left."""
    for child in multiprocessing.active_children():
        child.kill()
        child.join()


def require_swept(folder: Path) -> None:
    """Check that nothing half-written is left below a folder."""
    left = [str(path) for path in folder.rglob(f"{PREFIX}*")]
    assert not left, f"temporary files are left: {left}"


def _lead(play: Callable[[Witness], object], witness: Witness) -> None:
    """The work of the process; it exits with the codes of the command line."""
    try:
        play(witness)
    except SparringError as error:
        sys.exit(error.exit_code)
