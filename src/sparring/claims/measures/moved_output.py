"""How much of D's output an attack on its inputs moves.

Source: AS-GAN, figure 6, for the attack; the ratio is ours.
"""

from __future__ import annotations

from sparring.claims.measures.base import Measure
from sparring.claims.values import PlayedGame, Value
from sparring.core.pieces import piece


@piece("moved_output")
class MovedOutput(Measure):
    """mean D(x) - mean D(x attacked) on real samples, D = sigmoid(score), by the attack of the probe."""

    def of(self, game: PlayedGame) -> Value:
        metrics = game.trained.metrics
        real, attacked = (metrics[name].estimates[game.index].value for name in ("probe_d_real", "probe_d_adversarial"))
        return None if real is None or attacked is None else float(real - attacked)

    def protocol(self, game: PlayedGame) -> str:
        return game.trained.metrics["probe_d_adversarial"].protocol
