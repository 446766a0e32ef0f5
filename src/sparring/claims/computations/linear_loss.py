"""FGSM on a linear loss L(x + d) = L(x) + w . d: the closed form of the maximum, and a search at random.

    max over ||d||_inf <= epsilon of w . d = epsilon ||w||_1,   over ||d||_2 <= epsilon: epsilon ||w||_2

Source: course notes, section 2.2 and problem 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from sparring.attacks import FGSM, Direction, Normalised, Sign
from sparring.claims.computations.base import Computation
from sparring.claims.values import Value
from sparring.core.balls import L2, Ball, Linf
from sparring.core.pieces import piece
from sparring.core.randomness import Rng, Streams
from sparring.core.records import Count, Positive
from sparring.core.shapes import Space

_BALLS: dict[str, tuple[Ball, Direction]] = {"linf": (Linf(), Sign()), "l2": (L2(), Normalised())}


@piece("linear_loss")
class LinearLoss(Computation):
    """FGSM of this norm on a random linear loss.

    Returns `error`, |w . d - maximum| over the maximum, for the d of FGSM; `best_other`, the largest w . d of random
    perturbations over that of FGSM; `best_corner`, the same of random perturbations on the edge of the ball: corners of
    the cube, or points of the sphere; `size`, the norm of d over epsilon.

    Args:
        ball: `linf` or `l2`.
        epsilon: of the ball.
        features: of a sample.
        tries: random perturbations of each kind.
    """

    ball: Literal["linf", "l2"] = "linf"
    epsilon: Positive = 0.5
    features: Count = 8
    tries: Count = 20_000

    def compute(self, seed: int) -> Mapping[str, Value]:
        streams, (ball, direction) = Streams(seed), _BALLS[self.ball]
        w = streams.rng("w").normal((self.features,)).double()
        x = streams.rng("x").normal((1, self.features)).double()

        def loss(samples: Tensor) -> Tensor:
            return samples @ w

        attack = FGSM(epsilon=self.epsilon, ball=ball, direction=direction)
        space = Space((self.features,), None)
        found = attack(x, loss, network=nn.Module(), space=space, rng=Rng.of(0)) - x
        gain = float(found @ w)
        maximum = float(self.epsilon * (w.abs().sum() if self.ball == "linf" else w.norm()))
        inside = ball.draw(x.expand(self.tries, -1), self.epsilon, 1, rng=streams.rng("inside"))
        noise = streams.rng("edge").normal((self.tries, self.features)).double()
        edge = ball.steepest(noise, self.epsilon, 1)
        return {
            "error": abs(gain - maximum) / maximum,
            "best_other": float((inside @ w).max() / gain),
            "best_corner": float((edge @ w).max() / gain),
            "size": float(ball.size(found, 1) / self.epsilon),
        }
