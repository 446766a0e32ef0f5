"""A measure of those runs alone that logged what it needs."""

from __future__ import annotations

from sparring.claims.measures.base import Measure
from sparring.claims.values import PlayedGame, Value
from sparring.core.pieces import piece


@piece("where_logged")
class WhereLogged(Measure):
    """Another measure, for runs that logged a metric; no value for others, as a baseline without attacked samples.

    Args:
        metric: its name in the log.
        measure: of the runs that have it.
    """

    metric: str
    measure: Measure

    def of(self, game: PlayedGame) -> Value:
        return self.measure.of(game) if self.metric in game.trained.logged else None

    def protocol(self, game: PlayedGame) -> str:
        return self.measure.protocol(game)
