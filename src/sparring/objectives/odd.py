"""The robust objectives: class H on probabilities, class H-hat on raw scores.

H holds the strictly increasing f on [0, 1] with f(theta) = -f(1 - theta). With t = theta - 1/2 = tanh(s / 2) / 2 such
an f is an odd function of t, and so of the score s; H-hat holds odd functions of s itself. Oddness is exact in this
form. The paper draws the members of H that it tries (figure 2a) without printing formulas; those here have constant,
smaller and larger slope around the midpoint and share f(1) = 1/2, so that they differ in shape alone.

Source: Xu, Li, Jegelka, sections 4 and 6.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.records import Positive
from sparring.core.shapes import Scores
from sparring.objectives.base import ZeroSum


class OnProbability(ZeroSum):
    """A member of H: an odd, strictly increasing function of t = D(x) - 1/2 in [-1/2, 1/2]."""

    def payoff(self, score: Scores) -> Scores:
        return self.odd(torch.tanh(score / 2) / 2)

    @abstractmethod
    def odd(self, t: Tensor) -> Tensor:
        """f at theta = 1/2 + t."""


@piece("linear")
class Linear(OnProbability):
    """f(theta) = theta - 1/2: the same slope everywhere."""

    def odd(self, t: Tensor) -> Tensor:
        return t


@piece("piecewise_linear")
class PiecewiseLinear(OnProbability):
    """Linear with one slope for |theta - 1/2| <= knee and another outside, continuous, with f(1) = 1/2.

    Args:
        knee: where the slope changes, in (0, 1/2).
        inner_slope: the slope around the midpoint; the outer one follows from f(1) = 1/2. The paper gives no number.
    """

    knee: Annotated[float, Field(gt=0, lt=0.5)] = 0.25
    inner_slope: Annotated[float, Field(gt=0, lt=2)] = 0.5

    @model_validator(mode="after")
    def _increasing(self) -> PiecewiseLinear:
        if self.inner_slope * self.knee >= 0.5:
            raise ValueError("inner_slope should be less than 1 / (2 knee), or f decreases past the knee")
        return self

    def odd(self, t: Tensor) -> Tensor:
        outer_slope = (0.5 - self.inner_slope * self.knee) / (0.5 - self.knee)
        inside = t.clamp(-self.knee, self.knee)
        return self.inner_slope * inside + outer_slope * (t - inside)


@piece("cubic")
class Cubic(OnProbability):
    """f(theta) = t / 4 + 3 t^3, t = theta - 1/2: a quarter of the slope around the midpoint, steep at the ends."""

    def odd(self, t: Tensor) -> Tensor:
        return 0.25 * t + 3.0 * t**3


@piece("sine")
class Sine(OnProbability):
    """f(theta) = sin(pi (theta - 1/2)) / 2: slope pi / 2 around the midpoint, flat at the ends."""

    def odd(self, t: Tensor) -> Tensor:
        return torch.sin(math.pi * t) / 2


@piece("tanh")
class Tanh(ZeroSum):
    """f(s) = scale tanh(rate s) on raw scores; 3 tanh(0.15 s) in the paper (section 6, model 1)."""

    scale: Positive = 3.0
    rate: Positive = 0.15

    def payoff(self, score: Scores) -> Scores:
        return self.scale * torch.tanh(self.rate * score)


@piece("erf")
class Erf(ZeroSum):
    """f(s) = scale erf(rate s) on raw scores; 5 erf(0.1 s) in the paper (section 6, model 2)."""

    scale: Positive = 5.0
    rate: Positive = 0.1

    def payoff(self, score: Scores) -> Scores:
        return self.scale * torch.erf(self.rate * score)


@piece("square_root")
class SquareRoot(ZeroSum):
    """f(s) = 2 s for |s| <= 1/4, sign(s) sqrt|s| outside, on raw scores (section 6, model 3)."""

    def payoff(self, score: Scores) -> Scores:
        size = score.abs()
        # Both branches of a `where` are differentiated: the root must not see 0, where its slope is infinite.
        root = torch.sqrt(torch.where(size > 0.25, size, torch.ones_like(size)))
        return torch.where(size > 0.25, torch.sign(score) * root, 2 * score)


@piece("wasserstein")
class Wasserstein(ZeroSum):
    """f(s) = s on raw scores: with a Lipschitz control of D, the Wasserstein GAN."""

    def payoff(self, score: Scores) -> Scores:
        return score
