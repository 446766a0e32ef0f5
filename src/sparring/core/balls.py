"""Norm geometry: the balls that bound the perturbation of one sample.

No other module writes `clamp(-eps, eps)`. Sizes and radii are in the units of the samples.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Scores, expand_like

_TINY = 1e-12
_SMALLEST = 1e-30


def euclidean(x: Samples, batch_axes: int) -> Scores:
    """sqrt(sum_i x_i^2) of every sample; not for second derivatives, see `shapes.sample_norm`."""
    norm: Scores = torch.linalg.vector_norm(x.flatten(batch_axes), dim=-1)
    return norm


class Ball(Piece, family="ball"):
    """The perturbations of one sample whose norm is at most a radius.

    Attributes:
        norm: the name of the norm, for labels.
        limited: whether there is a radius at all.
    """

    norm: ClassVar[str]
    limited: ClassVar[bool] = True

    @abstractmethod
    def size(self, delta: Samples, batch_axes: int) -> Scores:
        """The norm of every perturbation: `(*batch, ...) -> (*batch)`."""

    @abstractmethod
    def project(self, delta: Samples, radius: float, batch_axes: int) -> Samples:
        """The nearest perturbation within the radius, in the Euclidean sense."""

    @abstractmethod
    def steepest(self, gradient: Samples, radius: float, batch_axes: int) -> Samples:
        """argmax of <gradient, delta> over the sphere of this radius; Euclidean where the ball has no limit.

        Zero where the gradient is zero.
        """

    @abstractmethod
    def draw(self, like: Samples, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        """Perturbations drawn uniformly from the ball, of the shape and type of `like`."""

    @abstractmethod
    def speeds(self, normal: Samples) -> Samples:
        """|delta_i| of the shortest move onto a plane with this normal, up to a factor t common to all coordinates."""

    @final
    def to_plane(self, normal: Samples, rise: Scores, room: tuple[Samples, Samples], batch_axes: int) -> Samples:
        """The smallest delta with <normal, delta> = rise and -down <= delta <= up, exactly.

            delta_i = +-min(t speed_i, room_i),    t solves sum_i |normal_i| min(t speed_i, room_i) = |rise|

        The sum is piecewise linear in t, and bends where t = room_i / speed_i. Where no delta in the box reaches the
        plane, the corner nearest to it.

        Args:
            normal: `(*batch, ...)`.
            rise: `(*batch)`.
            room: down and up, each of the shape of `normal`, at least 0; infinite without a box.
            batch_axes: how many leading axes are batch.

        Source: Croce and Hein 2020b, section 2 and appendix A.
        """
        toward = normal * expand_like(rise.sign(), normal)
        down, up = room
        limit = torch.where(toward > 0, up, down).flatten(batch_axes)
        speed = self.speeds(toward).flatten(batch_axes)
        rate = toward.flatten(batch_axes).abs() * speed
        breaks = torch.where(rate > 0, limit / speed, 0.0)
        time = _crossing(rate, breaks, rise.abs())
        length = torch.where(rate > 0, torch.minimum(time.unsqueeze(-1) * speed, limit), 0.0)
        return toward.sign() * length.view_as(normal)


def _crossing(
    rates: Float[Tensor, "*batch n"], breaks: Float[Tensor, "*batch n"], level: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """The t at which sum_i rates_i min(t, breaks_i) reaches a level; the last break where it never does.

    By Newton's method from t = 0. The sum is concave and piecewise linear: no step goes too far, and on the last piece
    a step is exact.
    """
    whole, last = torch.where(rates > 0, rates * breaks, 0.0), breaks.amax(-1)
    time = torch.zeros_like(level)
    ended = breaks <= 0
    while True:
        reached, slope = torch.where(ended, whole, 0.0).sum(-1), torch.where(ended, 0.0, rates).sum(-1)
        ahead = torch.where(slope > 0, (level - reached) / slope.clamp(min=_SMALLEST), last)
        time = torch.maximum(torch.minimum(ahead, last), time)
        before, ended = ended, breaks <= time.unsqueeze(-1)
        if torch.equal(ended, before):
            return time


@piece("linf")
class Linf(Ball):
    """max_i |delta_i| <= radius."""

    norm: ClassVar[str] = "L-infinity"

    def size(self, delta: Samples, batch_axes: int) -> Scores:
        return delta.flatten(batch_axes).abs().amax(-1)

    def project(self, delta: Samples, radius: float, batch_axes: int) -> Samples:
        return delta.clamp(-radius, radius)

    def steepest(self, gradient: Samples, radius: float, batch_axes: int) -> Samples:
        return radius * gradient.sign()

    def draw(self, like: Samples, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        return rng.uniform(like.shape, -radius, radius).to(like)

    def speeds(self, normal: Samples) -> Samples:
        return torch.ones_like(normal)


class EuclideanBall(Ball):
    """Sizes are Euclidean, and a step of a given length follows the gradient."""

    norm: ClassVar[str] = "Euclidean"

    def size(self, delta: Samples, batch_axes: int) -> Scores:
        return euclidean(delta, batch_axes)

    def steepest(self, gradient: Samples, radius: float, batch_axes: int) -> Samples:
        # In units of the largest entry: squares of small gradients would underflow. Entries that are no numbers stay 0,
        # as in the sign.
        gradient = gradient.nan_to_num(0.0)
        largest = gradient.flatten(batch_axes).abs().amax(-1).clamp(min=torch.finfo(gradient.dtype).tiny)
        scaled = gradient / expand_like(largest, gradient)
        return scaled * expand_like(radius / euclidean(scaled, batch_axes).clamp(min=_TINY), gradient)

    def speeds(self, normal: Samples) -> Samples:
        return normal.abs()


@piece("l2")
class L2(EuclideanBall):
    """sqrt(sum_i delta_i^2) <= radius."""

    def project(self, delta: Samples, radius: float, batch_axes: int) -> Samples:
        shrink = (radius / self.size(delta, batch_axes).clamp(min=_TINY)).clamp(max=1.0)
        return delta * expand_like(shrink, delta)

    def draw(self, like: Samples, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        direction = rng.normal(like.shape).to(like)
        features = like.shape[batch_axes:].numel()
        # The volume within a share of the radius grows with its power of the dimension.
        length = radius * rng.uniform(like.shape[:batch_axes]).to(like) ** (1.0 / features)
        return direction * expand_like(length / self.size(direction, batch_axes).clamp(min=_TINY), like)


@piece("none")
class Unbounded(EuclideanBall):
    """No limit; sizes are Euclidean."""

    limited: ClassVar[bool] = False

    def project(self, delta: Samples, radius: float, batch_axes: int) -> Samples:
        return delta

    def draw(self, like: Samples, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        raise ValueError("there is no uniform draw without a bound")
