"""SIGTERM and SIGINT as a wish to stop after the round, noticed by whoever asks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopWish:
    """The first stop signal that arrived, or None."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None


@contextmanager
def stop_wish() -> Iterator[StopWish]:
    """Catch the first stop signal within the block; a second one acts as if nobody listened."""
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    previous = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        wish.signal = signal.Signals(number)
        restore()

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield wish
    finally:
        restore()
