"""Whether a logged number still grows late in the training.

Source: Rob-GAN, figure 2 (right): local Lipschitz values on training samples settle, on held-out ones they grow.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from sparring.claims.measures.base import Measure
from sparring.claims.measures.numbers import logged
from sparring.claims.values import PlayedGame, Value
from sparring.core.pieces import piece


@piece("growth")
class Growth(Measure):
    """The rise of the least-squares line through the measurements from a round on to the last; None below three.

    Args:
        metric: its name in the log.
        since: share of the rounds at which the line begins.
    """

    metric: str
    since: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def of(self, game: PlayedGame) -> Value:
        steps, values = logged(game, self.metric)
        late = (steps >= self.since * steps[-1]) & np.isfinite(values)
        x, y = steps[late], values[late]
        if len(x) < 3:
            return None
        centred = x - x.mean()
        return float((centred @ y) / (centred @ centred) * (x[-1] - x[0]))

    def protocol(self, game: PlayedGame) -> str:
        return f"rise of the least-squares line through all measurements from {self.since:g} of the rounds on"
