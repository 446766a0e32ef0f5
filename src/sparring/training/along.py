"""The loop of all processes of a group but the first, which alone measures, logs and saves."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from sparring.classifier.state import ClassifierState
from sparring.core.descent import NotFiniteStep
from sparring.core.distributed import ProcessGroup
from sparring.core.errors import NonFinite, SparringError
from sparring.core.modules import same_noise
from sparring.core.signals import StopRequest, stop_request
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.runs.schema import SUMMARY, Summary


def train_along(path: Path, state: GANState | ClassifierState, start: int) -> Summary:
    """Train along with the first process; the summary that it wrote.

    If the first one ends because of a signal or a number that is not finite, this one exits with its code.

    Raises:
        SparringError: another process has ended.
    """
    assert isinstance(state, GANState), "a classifier is trained by one process"
    with stop_request() as request, same_noise(state.device):
        try:
            for step in range(start, state.recipe.steps):
                try:
                    state.own_streams.seed_torch("round", step)
                    play_round(state, step)
                except NotFiniteStep:
                    sys.exit(NonFinite.exit_code)
                stopping = stop_requested(request, state.group)
                if stopping:
                    sys.exit(128 + stopping)
            state.group.maximum(0)
        except SparringError:
            if request.signal:  # the first process had the same signal and may have ended
                sys.exit(128 + request.signal)
            raise
    return Summary.read(path / SUMMARY)


def stop_requested(request: StopRequest, group: ProcessGroup) -> signal.Signals | None:
    """The signal that any process of the group received; all processes agree on it after the same round."""
    number = group.maximum(request.signal or 0)
    return signal.Signals(number) if number else None
