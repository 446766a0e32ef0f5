"""When a score of generated samples reaches a share of the score of real ones: a level for any data and extractor.

Source: Rob-GAN, section 4.2: the speed of convergence is read off the inception score over epochs.
"""

from __future__ import annotations

from sparring.claims.measures.base import Measure
from sparring.claims.measures.numbers import logged
from sparring.claims.values import PlayedGame, Value
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.records import Positive


@piece("rounds_to_share")
class RoundsToShare(Measure):
    """The first round at which the score reaches the share; the last round of a game that never does.

    Args:
        share: of the score of real samples.
        metric: of generated samples, higher is better.
        real: of real samples, in the summary of the run.
    """

    share: Positive
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
        there = steps[values >= self.share * float(best)]
        return float(there[0]) if len(there) else float(run.recipe.steps)

    def protocol(self, game: PlayedGame) -> str:
        return f"{self.metric} at {self.share:g} of that of real samples, at every evaluation; else the last round"
