"""Where a gradient attack starts, and how far a step goes along a gradient; `sources.py` says along which."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch

from sparring.core.balls import L2, Ball, Linf
from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Number, Samples, against


class Start(Piece, family="start"):
    """The first perturbation.

    Attributes:
        still: whether it is none at all.
    """

    still: ClassVar[bool] = False

    @abstractmethod
    def draw(self, x: Samples, ball: Ball, radius: Number, batch_axes: int, *, rng: Rng) -> Samples:
        """A perturbation within the ball, of the shape of x."""


@piece("zero")
class ZeroStart(Start):
    """The sample itself."""

    still: ClassVar[bool] = True

    def draw(self, x: Samples, ball: Ball, radius: Number, batch_axes: int, *, rng: Rng) -> Samples:
        return torch.zeros_like(x)


@piece("random")
class RandomStart(Start):
    """A point uniform in the ball (Madry et al. 2018)."""

    def draw(self, x: Samples, ball: Ball, radius: Number, batch_axes: int, *, rng: Rng) -> Samples:
        return ball.draw(x, radius, batch_axes, rng=rng)


class Direction(Piece, family="direction"):
    """How a gradient becomes a step.

    Attributes:
        is_length: whether the step size is a length, and not a coefficient of the gradient.
    """

    is_length: ClassVar[bool] = True

    @abstractmethod
    def step(self, gradient: Samples, size: Number, width: float, batch_axes: int) -> Samples:
        """The step along a gradient.

        Args:
            gradient: `(*batch, ...)`, in the units of the samples.
            size: the attack's step size, in units of [0, 1].
            width: high - low of the data's range, which turns those units into the samples'.
            batch_axes: how many leading axes are batch.
        """


@piece("sign")
class Sign(Direction):
    """size sign(gradient): the steepest ascent in L-infinity."""

    def step(self, gradient: Samples, size: Number, width: float, batch_axes: int) -> Samples:
        return Linf().steepest(gradient, size * width, batch_axes)


@piece("normalised")
class Normalised(Direction):
    """size gradient / ||gradient||_2: the steepest ascent in L2; no step where the gradient is zero."""

    def step(self, gradient: Samples, size: Number, width: float, batch_axes: int) -> Samples:
        return L2().steepest(gradient, size * width, batch_axes)


@piece("raw")
class Raw(Direction):
    """size gradient: `size` is a coefficient and no length, so that the data's range does not scale it."""

    is_length: ClassVar[bool] = False

    def step(self, gradient: Samples, size: Number, width: float, batch_axes: int) -> Samples:
        return against(size, gradient) * gradient
