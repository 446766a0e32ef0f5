"""Gradient estimators: the gradient of the loss itself, a random direction, or an estimate from values of the loss.

An estimator that uses values alone turns every gradient attack into a black-box attack. Each of its queries is a batch
of as many samples as are attacked, so that the loss may hold a label for every sample; queries may leave the range.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, final

import torch
from pydantic import Field

from sparring.attacks.base import Epsilon, LossFunction, batch_axes_of
from sparring.core.balls import euclidean
from sparring.core.modules import input_gradient
from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Samples, Scores, Space, expand_like

_TINY = 1e-12


class GradientEstimator(Piece, family="estimator"):
    """The direction that a gradient attack follows."""

    @abstractmethod
    def estimate(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        """The direction to follow from x, `(*batch, *space.shape)`."""


class WhiteBox(GradientEstimator):
    """An estimator that is a function of the gradient, so that a precomputed one can be reused."""

    @final
    def estimate(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return self.follow(input_gradient(loss, x).gradient, batch_axes_of(x, space), rng=rng)

    @abstractmethod
    def follow(self, gradient: Samples, batch_axes: int, *, rng: Rng) -> Samples:
        """The direction for this gradient of the loss, `(*batch, *space.shape)`."""


@piece("autograd")
class Autograd(WhiteBox):
    """The gradient itself."""

    def follow(self, gradient: Samples, batch_axes: int, *, rng: Rng) -> Samples:
        return gradient


@piece("random_direction")
class RandomDirection(WhiteBox):
    """A Gaussian direction of the gradient's Euclidean size: the ablation "Gaussian" of AS-GAN, figure 3."""

    def follow(self, gradient: Samples, batch_axes: int, *, rng: Rng) -> Samples:
        noise = rng.normal(gradient.shape).to(gradient)
        ratio = euclidean(gradient, batch_axes) / euclidean(noise, batch_axes).clamp(min=_TINY)
        return noise * expand_like(ratio, noise)


@piece("finite_differences")
class FiniteDifferences(GradientEstimator):
    """(loss(x + h e_i) - loss(x - h e_i)) / 2h for every coordinate i, at two queries each: course notes, section 2.2.

    Args:
        h: in units of [0, 1].
    """

    h: Annotated[Epsilon, Field(gt=0)] = 1e-3

    def estimate(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        h = self.h * space.width
        units = torch.eye(math.prod(space.shape)).to(x).reshape(-1, *space.shape)
        slopes = [_central_difference(loss, x, h * unit) / (2 * h) for unit in units]
        return torch.stack(slopes, dim=-1).to(x).reshape(x.shape)


class Smoothed(GradientEstimator):
    """The gradient of a smoothed loss: the mean of (loss(x + sigma u) - loss(x - sigma u)) / 2 sigma u over u.

    Args:
        samples: directions, drawn anew for every sample and step; each costs two queries.
        sigma: in units of [0, 1].
    """

    samples: Count = 50
    sigma: Annotated[Epsilon, Field(gt=0)] = 1e-3

    @final
    def estimate(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        sigma, gradient = self.sigma * space.width, torch.zeros_like(x)
        for _ in range(self.samples):
            direction = self.draw(x, rng=rng)
            slope = _central_difference(loss, x, sigma * direction) / (2 * sigma)
            gradient += expand_like(slope.to(x), x) * direction / self.samples
        return gradient

    @abstractmethod
    def draw(self, like: Samples, *, rng: Rng) -> Samples:
        """Directions whose entries are independent, of mean 0 and variance 1."""


@piece("nes")
class NES(Smoothed):
    """Antithetic Gaussian directions (Ilyas et al. 2018, algorithm 1; Salimans et al. 2017)."""

    def draw(self, like: Samples, *, rng: Rng) -> Samples:
        return rng.normal(like.shape).to(like)


@piece("spsa")
class SPSA(Smoothed):
    """Rademacher directions (Spall 1992; Uesato et al. 2018)."""

    def draw(self, like: Samples, *, rng: Rng) -> Samples:
        return 2 * rng.integers(like.shape, 2).to(like) - 1


@torch.no_grad()
def _central_difference(loss: LossFunction, x: Samples, step: Samples) -> Scores:
    return loss(x + step) - loss(x - step)
