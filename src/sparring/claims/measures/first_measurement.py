"""What a run logged first."""

from __future__ import annotations

import numpy as np

from sparring.claims.measures.base import Measure
from sparring.claims.measures.numbers import logged
from sparring.claims.values import PlayedGame, Value
from sparring.core.pieces import piece


@piece("first")
class FirstMeasurement(Measure):
    """The first value of a metric in the log.

    Args:
        metric: its name in the log.
    """

    metric: str

    def of(self, game: PlayedGame) -> Value:
        _, values = logged(game, self.metric)
        return float(values[0]) if np.isfinite(values[0]) else None
