"""When a score of generated samples reaches a share of the score of real ones: a level for each data set.

Source: Rob-GAN, section 4.2: the speed of convergence is read off the inception score over epochs.
"""

from __future__ import annotations

import numpy as np

from sparring.claims.measures.base import Measure
from sparring.claims.measures.numbers import logged
from sparring.claims.values import PlayedGame, Value
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.records import Positive
from sparring.report.read import Floats


@piece("rounds_to_share")
class RoundsToShare(Measure):
    """The round at which the line through the measurements reaches the share; the last round of a game that never does.

    A game that failed has no such round.

    Args:
        shares: of the score of real samples, by the name of the data.
        metric: of generated samples, higher is better.
        real: of real samples, in the summary of the run.
    """

    shares: dict[str, Positive]
    metric: str = "inception_score"
    real: str = "inception_score_real"

    def of(self, game: PlayedGame) -> Value:
        run = game.trained
        if self.real not in run.metrics:
            raise UsageError(f"{run.name}: has no number {self.real!r}", f"it has {', '.join(run.metrics)}")
        best = run.metrics[self.real].estimates[game.index].value
        if best is None:
            return None
        steps, values = logged(game, self.metric)
        return crossing(steps, values, self._share(game) * float(best), float(run.recipe.steps))

    def protocol(self, game: PlayedGame) -> str:
        return (
            f"{self.metric} at {self._share(game):g} of that of real samples, between evaluations by a straight line; "
            "else the last round"
        )

    def _share(self, game: PlayedGame) -> float:
        data = game.trained.recipe.data.name
        if data not in self.shares:
            raise UsageError(f"{game.trained.name}: no share for data {data!r}", f"there is {', '.join(self.shares)}")
        return self.shares[data]


def crossing(steps: Floats, values: Floats, level: float, otherwise: float) -> float:
    """Where the straight lines between measurements first reach a level from below.

    Args:
        steps: rounds `(n)`.
        values: `(n)`; NaN is below.
        level: to reach.
        otherwise: if they never do.
    """
    there = np.flatnonzero(values >= level)
    if not len(there):
        return otherwise
    after = int(there[0])
    if after == 0 or not np.isfinite(values[after - 1]):
        return float(steps[after])
    share = (level - values[after - 1]) / (values[after] - values[after - 1])
    return float(steps[after - 1] + share * (steps[after] - steps[after - 1]))
