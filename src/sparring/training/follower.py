"""A process that plays a game along with the first one, which alone measures, writes and tells."""

from __future__ import annotations

import signal
import sys

from sparring.core.descent import NotFiniteStep
from sparring.core.distributed import ProcessGroup
from sparring.core.errors import NonFinite, SparringError
from sparring.core.signals import StopRequest, stop_request
from sparring.gan.state import GANState
from sparring.gan.step import play_round


def play_along(game: GANState, start: int) -> None:
    """Play the rounds from `start` on, and wait for the first process to sum up.

    Where that one ends because numbers turn non-finite or a signal asks any of them to, this one exits with its code.

    Raises:
        SparringError: another process is gone.
    """
    with stop_request() as request:
        try:
            for step in range(start, game.recipe.steps):
                try:
                    play_round(game, step)
                except NotFiniteStep:
                    sys.exit(NonFinite.exit_code)
                stopping = stop_asked(request, game.group)
                if stopping:
                    sys.exit(128 + stopping)
            game.group.maximum(0)
        except SparringError:
            if request.signal:  # the first process heard it too, and could end at once
                sys.exit(128 + request.signal)
            raise


def stop_asked(request: StopRequest, group: ProcessGroup) -> signal.Signals | None:
    """The signal by which any process of the group was asked to stop; all of them hear of it after the same round."""
    number = group.maximum(request.signal or 0)
    return signal.Signals(number) if number else None
