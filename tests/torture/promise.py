"""A promise, and one trial of it."""

from __future__ import annotations

import os
import random
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeVar
from unittest import mock

import torch

from sparring.core.signals import STOPS

Option = TypeVar("Option")

LIMIT = 300
"""Seconds after which a trial that hangs has failed."""


@dataclass(frozen=True)
class Trial:
    """One trial of a promise.

    Args:
        index: of the trial, from 0; what must each be tried at least once is chosen by it.
        draw: what is left to chance.
        folder: empty, and of this trial alone.
        shared: of all trials of a session, for what they compare with.
    """

    index: int
    draw: random.Random
    folder: Path
    shared: Path

    def turn(self, options: Sequence[Option]) -> Option:
        """The option whose turn it is: every one is tried before the first comes again."""
        return options[self.index % len(options)]


@dataclass(frozen=True)
class Promise:
    """Something that must hold in every trial.

    Args:
        number: of the row in docs/reliability.md.
        title: what is promised.
        quick: trials in `make test`.
        long: trials in `make torture`.
        trial: raises, whatever it is, if the promise is broken.
        lacks: what this machine lacks to try it, or nothing.
    """

    number: int
    title: str
    quick: int
    long: int
    trial: Callable[[Trial], None]
    lacks: Callable[[], str] = lambda: ""

    def attempt(self, index: int, *, seed: int, shared: Path) -> None:
        """Run trial `index`, the same one for the same seed.

        Raises:
            Exception: the promise is broken.
            AssertionError: the trial hangs.
        """
        cache = mock.patch.dict(os.environ, SPARRING_CACHE=str(shared / "cache"))  # never the user's
        folders = tempfile.TemporaryDirectory(prefix="trial-", ignore_cleanup_errors=True)
        threads = torch.get_num_threads()
        with folders as folder, _heeding(), _limited(), cache:
            self.trial(Trial(index, random.Random(f"{seed}/{self.number}/{index}"), Path(folder).resolve(), shared))
        # Trials that come later in this process would play other games than their likes elsewhere.
        assert torch.get_num_threads() == threads, "the trial leaves another number of threads behind"


@contextmanager
def _heeding() -> Iterator[None]:
    """A block that hears stop signals, even in a process that was started to ignore some, as `nohup` does."""
    before = {number: signal.getsignal(number) for number in STOPS}
    for number in STOPS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _limited() -> Iterator[None]:
    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"the trial hangs: no end after {LIMIT} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
