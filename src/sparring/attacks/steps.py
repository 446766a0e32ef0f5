"""The holes of the gradient attack: where it starts, whose gradient it follows, and how far a step goes along it."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch

from sparring.balls import Ball, euclidean
from sparring.pieces import Piece, piece
from sparring.randomness import Rng
from sparring.shapes import Samples, expand_like

_TINY = 1e-12


class Start(Piece, family="start"):
    """The first perturbation.

    Attributes:
        still: whether it is none at all.
    """

    still: ClassVar[bool] = False

    @abstractmethod
    def draw(self, x: Samples, ball: Ball, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        """A perturbation within the ball, of the shape of x."""


@piece("zero")
class ZeroStart(Start):
    """The sample itself."""

    still: ClassVar[bool] = True

    def draw(self, x: Samples, ball: Ball, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        return torch.zeros_like(x)


@piece("random")
class RandomStart(Start):
    """A point uniform in the ball (Madry et al. 2018)."""

    def draw(self, x: Samples, ball: Ball, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        return ball.draw(x, radius, batch_axes, rng=rng)


class Source(Piece, family="source"):
    """What stands for the gradient of the loss."""

    @abstractmethod
    def follow(self, gradient: Samples, batch_axes: int, *, rng: Rng) -> Samples:
        """The direction to follow where the true gradient is this one."""


@piece("autograd")
class Autograd(Source):
    """The gradient itself."""

    def follow(self, gradient: Samples, batch_axes: int, *, rng: Rng) -> Samples:
        return gradient


@piece("random_direction")
class RandomDirection(Source):
    """A Gaussian direction of the gradient's Euclidean size: the ablation "Gaussian" of AS-GAN, figure 3."""

    def follow(self, gradient: Samples, batch_axes: int, *, rng: Rng) -> Samples:
        noise = rng.normal(gradient.shape).to(gradient)
        ratio = euclidean(gradient, batch_axes) / euclidean(noise, batch_axes).clamp(min=_TINY)
        return noise * expand_like(ratio, noise)


class Direction(Piece, family="direction"):
    """How a gradient becomes a step.

    Attributes:
        is_length: whether the step size is a length, and not a coefficient of the gradient.
    """

    is_length: ClassVar[bool] = True

    @abstractmethod
    def step(self, gradient: Samples, size: float, width: float, batch_axes: int) -> Samples:
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

    def step(self, gradient: Samples, size: float, width: float, batch_axes: int) -> Samples:
        return size * width * gradient.sign()


@piece("normalised")
class Normalised(Direction):
    """size gradient / ||gradient||_2: the steepest ascent in L2; no step where the gradient is zero."""

    def step(self, gradient: Samples, size: float, width: float, batch_axes: int) -> Samples:
        norm = euclidean(gradient, batch_axes).clamp(min=_TINY)
        return gradient * expand_like(size * width / norm, gradient)


@piece("raw")
class Raw(Direction):
    """size gradient: `size` is a coefficient and no length, so that the data's range does not scale it."""

    is_length: ClassVar[bool] = False

    def step(self, gradient: Samples, size: float, width: float, batch_axes: int) -> Samples:
        return size * gradient
