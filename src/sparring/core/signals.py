"""SIGTERM, SIGINT and SIGHUP: heard where the work can be saved, at once where it cannot wait; never between."""

from __future__ import annotations

import errno
import os
import signal
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks a process to stop: a scheduler, Ctrl-C, a terminal that is gone."""


class Stop(BaseException):
    """A stop signal, and no error: who guards against exceptions lets it pass."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class Stopped(Stop):
    """The work ends here; there is time to save it."""


class Terminated(Stop):
    """The process ends; on the way out, what is half-made is removed."""


def heeded() -> list[signal.Signals]:
    """The stop signals that this process was not started to ignore, as `nohup` asks."""
    return [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]


def terminate_on_signals() -> None:
    """From here on, a stop signal that nobody waits for raises Terminated."""
    for number in heeded():
        signal.signal(number, _terminate)


def _terminate(number: int, _frame: FrameType | None) -> None:
    _let_go_of_a_lost_terminal()
    raise Terminated(number)


class StopWish:
    """The first stop signal that arrived, or None."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._waits = True

    def heard(self, number: int) -> None:
        """Take note of a signal.

        Raises:
            Stopped: what runs is not to be waited for.
        """
        self.signal = signal.Signals(number)
        if not self._waits:
            raise Stopped(number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A block that the first signal cuts short, wherever it is; it leaves nothing behind that matters.

        Raises:
            Stopped: the signal came within the block, or before it.
        """
        self._waits = False
        try:
            if self.signal is not None:
                raise Stopped(self.signal)
            yield
        finally:
            self._waits = True


@contextmanager
def stop_wish() -> Iterator[StopWish]:
    """Hear the first stop signal within the block; a second one acts as if nobody listened.

    Only a process's main thread hears signals; elsewhere the wish never comes.
    """
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    previous = {number: signal.getsignal(number) for number in heeded()}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        _let_go_of_a_lost_terminal()
        restore()
        wish.heard(number)

    for number in previous:
        signal.signal(number, note)
    try:
        yield wish
    finally:
        restore()


def _let_go_of_a_lost_terminal() -> None:
    """What is said after a hang-up goes nowhere: to write to the lost terminal would be an error of its own."""
    for stream in range(3):
        try:
            termios.tcgetattr(stream)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, stream)
                os.close(nowhere)
