"""Jumps of a logged curve, and the mean of a difference of two of them.

Source: Direct Adversarial Training for GANs, figures 4, 5 and 7, which compare estimates of a Wasserstein distance.
"""

from __future__ import annotations

from abc import ABC

import numpy as np
import numpy.typing as npt

from sparring.claims.measures.base import Measure
from sparring.claims.measures.numbers import logged, thinned
from sparring.claims.values import PlayedGame, Value
from sparring.core.pieces import piece
from sparring.core.records import Count, Every


class OfDifference(Measure, ABC):
    """A measure of y, a logged number, or of y less another one.

    Args:
        metric: its name in the log.
        less: name of what is subtracted from it; empty for nothing.
        after: the round from which on it counts.
    """

    metric: str
    less: str = ""
    after: Every = 0

    def curve(self, game: PlayedGame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Rounds and values."""
        steps, values = logged(game, self.metric)
        if self.less:
            values = values - logged(game, self.less)[1]
        kept = steps >= self.after
        return steps[kept], values[kept]


@piece("jumps")
class Jumps(OfDifference):
    """mean_t |y_{t+1} - y_t| over consecutive values of the log."""

    def of(self, game: PlayedGame) -> Value:
        _, values = self.curve(game)
        if len(values) < 2 or not np.isfinite(values).all():
            return None
        return float(np.abs(np.diff(values)).mean())


@piece("mean_size")
class MeanSize(OfDifference):
    """mean_t |y_t|."""

    def of(self, game: PlayedGame) -> Value:
        _, values = self.curve(game)
        return float(np.abs(values).mean()) if len(values) and np.isfinite(values).all() else None


@piece("difference_curve")
class DifferenceCurve(OfDifference):
    """y over rounds, thinned to equal intervals.

    Args:
        points: how many are kept at most.
    """

    points: Count = 60

    def of(self, game: PlayedGame) -> Value:
        return thinned(*self.curve(game), self.points)
