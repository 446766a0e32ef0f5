"""Numbers of successful games alone, and distances of a logged number from a level."""

from __future__ import annotations

import numpy as np

from sparring.claims.measures.base import Measure
from sparring.claims.measures.numbers import Final, logged
from sparring.claims.values import PlayedGame, Value
from sparring.core.pieces import piece
from sparring.core.records import Count


@piece("final_of_successes")
class FinalOfSuccesses(Measure):
    """The last value of a metric in a game that is a success at the end; no value in another game.

    Args:
        metric: its name.
    """

    metric: str

    def of(self, game: PlayedGame) -> Value:
        return Final(metric=self.metric).of(game) if Final(metric="success").of(game) == 1 else None

    def protocol(self, game: PlayedGame) -> str:
        return f"games that are a success at the end; {Final(metric=self.metric).protocol(game)}"


@piece("distance_from")
class DistanceFrom(Measure):
    """The mean of |value - level| over the last finite values of a metric in the log; a game that failed has none.

    Args:
        metric: its name in the log.
        level: as 1/2 for D's output where it cannot tell real from generated.
        rows: of the log, from the last finite one back.
    """

    metric: str
    level: float
    rows: Count = 5

    def of(self, game: PlayedGame) -> Value:
        _, values = logged(game, self.metric)
        known = values[np.isfinite(values)][-self.rows :]
        return float(np.abs(known - self.level).mean()) if len(known) else None

    def protocol(self, game: PlayedGame) -> str:
        return f"mean of the last {self.rows} finite values of the log"
