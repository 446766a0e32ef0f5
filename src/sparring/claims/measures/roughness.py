"""How rough a logged curve is.

Source: AS-GAN, figure 6, which compares curves by eye.
"""

from __future__ import annotations

import numpy as np

from sparring.claims.measures.base import Measure
from sparring.claims.measures.numbers import logged
from sparring.claims.values import PlayedGame, Value
from sparring.core.pieces import piece


@piece("roughness")
class Roughness(Measure):
    """mean_t |y_{t+1} - 2 y_t + y_{t-1}| of a logged number: 0 for a straight line.

    Args:
        metric: its name in the log.
        skip: the share of the training at its start that does not count.
    """

    metric: str
    skip: float = 0.0

    def of(self, game: PlayedGame) -> Value:
        _, values = logged(game, self.metric)
        kept = values[round(self.skip * len(values)) :]
        if len(kept) < 3 or not np.isfinite(kept).all():
            return None
        return float(np.abs(np.diff(kept, n=2)).mean())
