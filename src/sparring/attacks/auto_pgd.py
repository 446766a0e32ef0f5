"""Auto-PGD: signed or normalised steps with momentum; a sample's step size is halved where its loss stops rising.

    z       = confine(x_k + eta steepest(grad loss(x_k)))
    x_{k+1} = confine(x_k + alpha (z - x_k) + (1 - alpha) (x_k - x_{k-1})),    alpha = 0.75, eta_0 = 2 epsilon

At the checkpoints w_0 = 0 < w_1 < w_2 < ..., w_j = ceil(p_j steps), a sample's eta is halved and its iterate is reset
to the best point so far if one of two conditions holds:

1. the loss rose in fewer than rho = 0.75 of the steps since the last checkpoint;
2. eta was not halved at the last checkpoint, and the best loss has not risen since.

Source: Croce and Hein 2020, algorithm 1 and section 3. The paper lets a checkpoint take effect one step later.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool
from pydantic import model_validator
from torch import Tensor

from sparring.attacks.base import Attack, Epsilon, LossFunction, batch_axes_of, require_radius
from sparring.attacks.gradient import RandomStart, Start
from sparring.core.modules import input_gradient
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Samples, Scores, Space, expand_like

_ALPHA = 0.75
_RHO = 0.75


@piece("apgd")
class APGD(Attack):
    """Momentum steps with an adaptive step size, reset to the best point where they stall (Croce and Hein 2020).

    The result is the point of the highest loss. Over L-infinity steps are signed, over L2 normalised.

    Args:
        steps: gradient evaluations.
        start: the first perturbation.
    """

    epsilon: Epsilon = 8 / 255
    steps: Count = 100
    start: Start = RandomStart()

    _has_a_radius = model_validator(mode="after")(require_radius)

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        radius, axes, checks = self.epsilon * space.width, batch_axes_of(x, space), checkpoints(self.steps)
        point = before = self.confine(x, x + self.start.draw(x, self.ball, radius, axes, rng=rng), space)
        zeros = x.new_zeros(x.shape[:axes])
        best, last = _Point(point, zeros - torch.inf, torch.zeros_like(x)), zeros + torch.inf
        eta, halved, rises, checked, checked_best = zeros + 2 * radius, zeros > 0, zeros, 0, last
        for step in range(self.steps):
            here = _Point(point, *input_gradient(loss, point))
            rises = rises + (here.loss > last)
            best = _where(here.loss > best.loss, here, best)
            if step in checks:
                stalled = (rises < _RHO * (step - checked)) | (~halved & (best.loss == checked_best))
                eta, here = torch.where(stalled, eta / 2, eta), _where(stalled, best, here)
                halved, rises, checked, checked_best = stalled, zeros, step, best.loss
            steepest = self.ball.steepest(here.slope, 1.0, axes)
            ahead = self.confine(x, here.x + expand_like(eta, x) * steepest, space) - here.x
            alpha = _ALPHA if step else 1.0
            point = self.confine(x, here.x + alpha * ahead + (1 - alpha) * (here.x - before), space)
            before, last = here.x, here.loss
        with torch.no_grad():
            return torch.where(expand_like(loss(point) > best.loss, x), point, best.x)


class _Point(NamedTuple):
    """Every sample's iterate, `(*batch, ...)`, its loss, `(*batch)`, and the gradient of the loss."""

    x: Samples
    loss: Scores
    slope: Samples


def checkpoints(steps: int) -> frozenset[int]:
    """w_j = ceil(p_j steps) below `steps`: p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06)."""
    shares = [0, 22]  # hundredths, so that sums are exact
    while shares[-1] < 100:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 3, 6))
    return frozenset(-(-share * steps // 100) for share in shares[:-1]) - {steps}


def _where(mask: Bool[Tensor, "*batch"], a: _Point, b: _Point) -> _Point:
    wide = expand_like(mask, a.x)
    x, slope = torch.where(wide, a.x, b.x), torch.where(wide, a.slope, b.slope)
    return _Point(x, torch.where(mask, a.loss, b.loss), slope)
