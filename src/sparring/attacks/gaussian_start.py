"""A start near the sample: a way off the point where a divergence is flat, as TRADES and MART have it."""

from __future__ import annotations

from sparring.attacks.gradient import Start
from sparring.core.balls import Ball
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Positive
from sparring.core.shapes import Samples


@piece("gaussian")
class GaussianStart(Start):
    """radius share N(0, 1) in every coordinate, projected on the ball (Zhang et al. 2019, algorithm 1).

    For L-infinity: in a Euclidean ball of more than 1 / share^2 coordinates nearly every start lies on its surface.

    Args:
        share: the standard deviation, as a share of the ball's radius; 0.001 of [0, 1] at 8/255 in the published code.
    """

    share: Positive = 0.03

    def draw(self, x: Samples, ball: Ball, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        return ball.project(self.share * radius * rng.normal(x.shape).to(x), radius, batch_axes)
