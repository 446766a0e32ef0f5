"""A promise, one trial of it, and all promises of this package."""

from __future__ import annotations

import importlib
import os
import pkgutil
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

import torture
from sparring.core.signals import STOPS

Option = TypeVar("Option")

LIMIT = 900
"""Seconds after which a trial is said to hang; generous, so that a busy machine fails no trial."""


@dataclass(frozen=True)
class Trial:
    """One trial of a promise.

    Args:
        index: of the trial, from 0.
        draw: the source of all chance.
        folder: empty, and of this trial alone.
        shared: of all trials of a session, for what they compare with.
    """

    index: int
    draw: random.Random
    folder: Path
    shared: Path

    def turn(self, options: Sequence[Option]) -> Option:
        """The option of this index: every option is tried before the first comes again."""
        return options[self.index % len(options)]


@dataclass(frozen=True)
class Promise:
    """A statement that must hold in every trial.

    Args:
        number: of the row in docs/reliability.md.
        title: the statement.
        quick: trials in `make test`.
        long: trials in `make torture`.
        trial: raises if the promise is broken.
    """

    number: int
    title: str
    quick: int
    long: int
    trial: Callable[[Trial], None]

    def attempt(self, index: int, *, seed: int, shared: Path) -> None:
        """Run trial `index`; the same seed gives the same trial.

        Raises:
            Exception: the promise is broken.
            AssertionError: the trial hangs.
        """
        cache = mock.patch.dict(os.environ, SPARRING_CACHE=str(shared / "cache"))  # never the user's
        folders = tempfile.TemporaryDirectory(prefix="trial-", ignore_cleanup_errors=True)
        threads = torch.get_num_threads()
        with folders as folder, _default_signals(), _deadline(), cache:
            self.trial(Trial(index, random.Random(f"{seed}/{self.number}/{index}"), Path(folder).resolve(), shared))
        # Later trials of this process would train with other sums than elsewhere.
        assert torch.get_num_threads() == threads, "the trial leaves another number of threads behind"


def promises() -> list[Promise]:
    """The PROMISE of every module of this package, by number."""
    modules = [importlib.import_module(f"torture.{found.name}") for found in pkgutil.iter_modules(torture.__path__)]
    return sorted((module.PROMISE for module in modules if hasattr(module, "PROMISE")), key=lambda each: each.number)


@contextmanager
def _default_signals() -> Iterator[None]:
    """A block in which stop signals act, even in a process that was started to ignore some, as under `nohup`."""
    before = {number: signal.getsignal(number) for number in STOPS}
    for number in STOPS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _deadline() -> Iterator[None]:
    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"the trial hangs: no end after {LIMIT} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
