"""DAT's update as a gradient penalty with a sign, in fp64.

    (grad_theta E[g(D(x + d))] - grad_theta E[g(D(x))]) / epsilon  ->  -s/2 grad_theta E ||grad_x g(D(x))||^2
    d = -epsilon grad_x |g(D(x)) - c|,   s = sign(g(D(x)) - c),   c the mean payoff of the other side

for epsilon -> 0 with d constant, as in training. Equation (12) has s in place of s/2: that is the gradient if d is
differentiated as well.

Source: Direct Adversarial Training for GANs, equations (11) and (12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.attacks import Direct, Distance
from sparring.claims.computations.base import Computation
from sparring.claims.values import Value
from sparring.core.modules import input_gradient
from sparring.core.pieces import piece
from sparring.core.randomness import Rng, Streams
from sparring.core.records import Positive
from sparring.core.shapes import Samples, Scores, Space
from sparring.networks import MLPDiscriminator

_SPACE = Space((16,), None)
_SAMPLES = 64


class Penalised(NamedTuple):
    """The measured gradient against that of the penalty.

    Args:
        direction: their cosine; 1 where they agree.
        strength: the measured one along the penalty's, over its length; 1/2 by the formula above.
    """

    direction: float
    strength: float


@piece("adaptive_penalty")
class AdaptivePenalty(Computation):
    """The measured gradient of DAT against equation (12), for a D that is right and for one that is wrong.

    Returns `direction_right`, `direction_wrong`, `strength_right`, `strength_wrong`; and `strength_through`, with the
    perturbation differentiated as well.

    Args:
        epsilon: of the perturbation.
    """

    epsilon: Positive = 1e-6

    def compute(self, seed: int) -> Mapping[str, Value]:
        streams = Streams(seed)
        d = MLPDiscriminator(hidden=(32, 32)).build(_SPACE, (), rng=streams.rng("d")).double()
        x = streams.rng("x").normal((_SAMPLES, *_SPACE.shape)).double()

        def payoff(samples: Samples) -> Scores:
            return F.logsigmoid(d(samples).score)

        with torch.no_grad():
            seen = payoff(x)
        right = _compare(d, payoff, x, float(seen.min()) - 1, self.epsilon, 1.0)
        wrong = _compare(d, payoff, x, float(seen.max()) + 1, self.epsilon, -1.0)
        through = _along(_through(d, payoff, x, self.epsilon), _penalty(d, payoff, x))
        return {
            "direction_right": right.direction,
            "direction_wrong": wrong.direction,
            "strength_right": right.strength,
            "strength_wrong": wrong.strength,
            "strength_through": through,
        }


def _compare(
    d: nn.Module, payoff: Callable[[Samples], Scores], x: Samples, other: float, epsilon: float, sign: float
) -> Penalised:
    """DAT's attack and update where the other side's mean payoff is `other`."""
    mean = torch.tensor(other, dtype=torch.float64)
    moved = Direct(epsilon=epsilon)(
        x, lambda samples: Distance().loss(payoff(samples), lambda: mean), network=d, space=_SPACE, rng=Rng.of(0)
    )
    measured = (_slope(d, payoff(moved).mean()) - _slope(d, payoff(x).mean())) / epsilon
    penalty = sign * _penalty(d, payoff, x)
    return Penalised(float(F.cosine_similarity(measured, penalty, dim=0)), _along(measured, penalty))


def _through(d: nn.Module, payoff: Callable[[Samples], Scores], x: Samples, epsilon: float) -> Tensor:
    """As the measured gradient of a D that is right, with the perturbation as a function of theta."""
    slope = input_gradient(payoff, x, create_graph=True).gradient
    return (_slope(d, payoff(x - epsilon * slope).mean()) - _slope(d, payoff(x).mean())) / epsilon


def _penalty(d: nn.Module, payoff: Callable[[Samples], Scores], x: Samples) -> Tensor:
    """-grad_theta E ||grad_x g(D(x))||^2: the ascent direction of minus the penalty."""
    slope = input_gradient(payoff, x, create_graph=True).gradient
    return -_slope(d, slope.square().sum(-1).mean())


def _along(measured: Tensor, penalty: Tensor) -> float:
    return float(measured @ penalty / penalty.square().sum())


def _slope(d: nn.Module, value: Tensor) -> Tensor:
    slopes = torch.autograd.grad(value, list(d.parameters()), allow_unused=True, materialize_grads=True)
    return torch.cat([slope.flatten() for slope in slopes])
