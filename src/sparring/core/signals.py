"""Stop signals: the first of SIGTERM, SIGINT and SIGHUP asks for a stop after this step, a second one ends the process.

Does not import torch.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The signals of a scheduler, of Ctrl-C, and of a closed terminal."""


class StopSignal(BaseException):
    """A stop signal. Not an Exception, so that handlers of errors let it pass."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class Stopped(StopSignal):
    """The run ends here, and is saved."""


class Terminated(StopSignal):
    """The process ends; what is half-written is removed on the way out."""


class StopRequest:
    """The first stop signal that arrived, or None."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._interrupts = False

    def receive(self, number: int) -> None:
        """Take note of a signal.

        Raises:
            Stopped: the current block is `interruptible`.
        """
        self.signal = signal.Signals(number)
        if self._interrupts:
            raise Stopped(number)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block, such as an evaluation, that a signal interrupts; it must leave nothing half-done.

        Raises:
            Stopped: the signal came within the block, or before it.
        """
        self._interrupts = True
        try:
            if self.signal is not None:
                raise Stopped(self.signal)
            yield
        finally:
            self._interrupts = False


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Note the first stop signal within the block; a second one is handled as outside of it.

    Only the main thread of a process receives signals; in other threads the request never comes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in _not_ignored()}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        _detach_lost_terminal()
        restore()
        request.receive(number)

    for number in previous:
        signal.signal(number, note)
    try:
        yield request
    finally:
        restore()


def terminate_on_signals() -> None:
    """From here on, a stop signal outside of `stop_request` raises Terminated.

    Where Python would lose it, it is raised a moment later: during an import, whose code may drop or replace any
    exception, and in finalisers and callbacks of weak references.
    """
    for number in _not_ignored():
        signal.signal(number, _terminate)
    sys.unraisablehook = _repeat_if_dropped


def ignore_signals() -> None:
    """From here on, no stop signal has an effect."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    for number in STOPS:  # threads of libraries have masks of their own, and Python removes its handlers at exit
        signal.signal(number, signal.SIG_IGN)


def _not_ignored() -> list[signal.Signals]:
    """The stop signals that this process does not ignore, as it does under `nohup`."""
    return [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]


def _terminate(number: int, frame: FrameType | None) -> None:
    _detach_lost_terminal()
    if _imports(frame):
        _send_later(number)
    else:
        raise Terminated(number)


def _imports(frame: FrameType | None) -> bool:
    """Whether a frame or one of its callers is of Python's import system."""
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _send_later(number: int) -> None:
    # By a timer of the system: a thread cannot be started in a handler that has interrupted the start of another.
    signal.signal(signal.SIGALRM, lambda _alarm, _frame: signal.raise_signal(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def _repeat_if_dropped(dropped: sys.UnraisableHookArgs) -> None:
    """Send the signal of a dropped Terminated again; report what is neither that nor Stopped, which is noted."""
    stop = dropped.exc_value
    if isinstance(stop, Terminated):
        _send_later(stop.signal)
    elif not isinstance(stop, Stopped):
        sys.__unraisablehook__(dropped)


def _detach_lost_terminal() -> None:
    """Send output to /dev/null if the terminal has closed: a write to it would fail."""
    for stream in range(3):
        try:
            termios.tcgetattr(stream)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, stream)
                os.close(null)
