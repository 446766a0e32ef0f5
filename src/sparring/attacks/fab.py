"""FAB, the fast adaptive boundary attack: the nearest point at which a signed loss, negative at x, becomes positive.

    plane   = {z : loss(x_k) + <grad loss(x_k), z - x_k> = 0}
    d_k, d  = the smallest moves of x_k and of x onto the plane, within the data's range
    alpha   = min(||d_k|| / (||d_k|| + ||d||), alpha_max)
    x_{k+1} = clip((1 - alpha) (x_k + eta d_k) + alpha (x + eta d))

Where loss(x_{k+1}) > 0, the point is kept if it is the nearest so far, and the search goes on from
(1 - beta) x + beta x_{k+1}. At last three secant steps between x and the nearest point found move it to the boundary.

Source: Croce and Hein 2020b, algorithm 1.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field, model_validator

from sparring.attacks.base import Attack, Epsilon, LossFunction, batch_axes_of, require_radius
from sparring.attacks.gradient import Start, ZeroStart
from sparring.core.modules import input_gradient
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Samples, Space, expand_like

_SECANTS = 3
_BEYOND = 1.002
"""How far a secant step goes beyond the zero of the secant, so that it ends on the side that was found."""
_TINY = 1e-30


@piece("fab")
class FAB(Attack):
    """The nearest misclassified point, by projections onto the linearised boundary (Croce and Hein 2020b).

    The loss has to be signed: negative where the class is right, positive where it is wrong. The search ignores epsilon
    but for its random start; a point that is farther away is projected to the budget at the end. Where no point is
    found, the last one is returned.

    Args:
        steps: gradient evaluations.
        start: the first perturbation, in a ball of half the budget.
        eta: how far a step goes beyond the boundary; 1 ends on it.
        beta: how far the search goes on from x after a success, as a share of the way to the point found.
        alpha_max: the greatest weight of the step from x itself.
    """

    seeks_boundary: ClassVar[bool] = True

    epsilon: Epsilon = 8 / 255
    steps: Count = 100
    start: Start = ZeroStart()
    eta: Annotated[float, Field(ge=1)] = 1.05
    beta: Annotated[float, Field(gt=0, lt=1)] = 0.9
    alpha_max: Annotated[float, Field(ge=0, le=1)] = 0.1

    _has_a_radius = model_validator(mode="after")(require_radius)

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        axes = batch_axes_of(x, space)
        point = x + self.start.draw(x, self.ball, self.epsilon * space.width / 2, axes, rng=rng)
        nearest, distance = x, x.new_full(x.shape[:axes], torch.inf)
        for _ in range(self.steps):
            point = _within(self._step(x, point, loss, space), space)
            with torch.no_grad():
                crossed = loss(point) > 0
            size = self.ball.size(point - x, axes)
            closer = crossed & (size < distance)
            nearest, distance = torch.where(expand_like(closer, x), point, nearest), torch.where(closer, size, distance)
            point = torch.where(expand_like(crossed, x), x + self.beta * (point - x), point)
        ended = torch.where(expand_like(distance.isinf(), x), point, nearest)
        return _to_boundary(x, ended, loss)

    def _step(self, x: Samples, point: Samples, loss: LossFunction, space: Space) -> Samples:
        axes = batch_axes_of(x, space)
        value, slope = input_gradient(loss, point)
        from_x = value + (slope * (x - point)).flatten(axes).sum(-1)
        starts, heights = torch.cat([point, x]), torch.cat([value, from_x])
        moves = self.ball.to_plane(torch.cat([slope, slope]), -heights, _room(starts, space), axes)
        far, near = moves.chunk(2)
        far_size, near_size = self.ball.size(moves, axes).chunk(2)
        alpha = expand_like((far_size / (far_size + near_size).clamp(min=_TINY)).clamp(max=self.alpha_max), x)
        return (1 - alpha) * (point + self.eta * far) + alpha * (x + self.eta * near)


def _room(x: Samples, space: Space) -> tuple[Samples, Samples]:
    """How far every coordinate may go down and up."""
    if space.bounds is None:
        return torch.full_like(x, torch.inf), torch.full_like(x, torch.inf)
    low, high = space.bounds
    return (x - low).clamp(min=0), (high - x).clamp(min=0)


def _within(x: Samples, space: Space) -> Samples:
    return x if space.bounds is None else x.clamp(*space.bounds)


@torch.no_grad()
def _to_boundary(x: Samples, found: Samples, loss: LossFunction) -> Samples:
    """The point found, moved towards x by secants of the loss; it stays on the side that was found.

    Unchanged where the loss is not positive at the point found.
    """
    right, wrong = (x, loss(x)), (found, loss(found))
    for _ in range(_SECANTS):
        share = torch.where(wrong[1] > 0, -_BEYOND * right[1] / (wrong[1] - right[1]).clamp(min=_TINY), 1.0).clamp(0, 1)
        middle = right[0] + expand_like(share, x) * (wrong[0] - right[0])
        value = loss(middle)
        crossed, wide = value > 0, expand_like(value > 0, x)
        right = torch.where(wide, right[0], middle), torch.where(crossed, right[1], value)
        wrong = torch.where(wide, middle, wrong[0]), torch.where(crossed, value, wrong[1])
    return wrong[0]
